import subprocess
import sys

import pytest

from mgbench.interfaces.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_gives_the_same_objects_and_says_where_they_are(old: str) -> None:
    check = f"""
import importlib, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    old = importlib.import_module({old!r})
assert any({MOVED[old][0]!r} in str(warning.message) for warning in said if warning.category is DeprecationWarning)
for home in {MOVED[old]!r}:
    for name, value in vars(importlib.import_module(home)).items():
        assert name.startswith("__") or getattr(old, name) is value, name
"""
    subprocess.run([sys.executable, "-c", check], check=True, timeout=120)


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("mgbench.never_was")
