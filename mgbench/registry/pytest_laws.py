"""A pytest plugin: a test that takes `mgbench_law` runs once for each component of the plugins that the project names.

They are named in the ini option `mgbench_plugins`, files beside the ini file or names of installed plugins. Nothing is imported
before a test asks for it.
"""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(
        "mgbench_plugins", "plugins of mgbench that are held to the laws of their kinds", type="args", default=[]
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each component and method of the plugins, given as `mgbench_law`, which is called without arguments.

    Raises:
        UsageError: if the project names no plugin.
    """
    if "mgbench_law" not in metafunc.fixturenames:
        return
    from mgbench.registry.laws import held

    named = metafunc.config.getini("mgbench_plugins")
    if not named:
        raise pytest.UsageError('name your plugin in the ini file of pytest: mgbench_plugins = ["my_plugin.py"]')
    root = Path(metafunc.config.rootpath)
    plugins = [str(root / name) if name.endswith(".py") else name for name in named]
    metafunc.parametrize("mgbench_law", held(plugins), ids=str)
