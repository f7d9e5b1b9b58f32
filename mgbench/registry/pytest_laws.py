"""A pytest plugin: a test with the argument `mgbench_law` runs once for each component of the configured plugins.

The ini option `mgbench_plugins` lists them: files next to the ini file, or names of installed plugins. Nothing is
imported unless a test uses the argument.
"""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(
        "mgbench_plugins", "plugins of mgbench to check against the laws of their kinds", type="args", default=[]
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise `mgbench_law` over the components and methods of the plugins; a test calls it without arguments.

    Raises:
        UsageError: if no plugin is configured.
    """
    if "mgbench_law" not in metafunc.fixturenames:
        return
    from mgbench.registry.laws import law_checks

    named = metafunc.config.getini("mgbench_plugins")
    if not named:
        raise pytest.UsageError('name your plugin in the ini file of pytest: mgbench_plugins = ["my_plugin.py"]')
    root = Path(metafunc.config.rootpath)
    plugins = [str(root / name) if name.endswith(".py") else name for name in named]
    metafunc.parametrize("mgbench_law", law_checks(plugins), ids=str)
