"""A project that `mgbench new-plugin` writes works as it is, whatever its kind."""

import tomllib
from pathlib import Path

import pytest

from mgbench.cli.commands.new_plugin import project
from mgbench.recipes.kinds import TABLE
from mgbench.registry.laws import LawCheck, law_checks
from tests.cli.conftest import Command
from tests.environments import INSTALL, clean_environment, ran

KINDS = [kind.name for kind in TABLE if not kind.offered_as]
# Its laws run trials.
SLOW = ("engine",)


def written(folder: Path, name: str, kind: str) -> Path:
    for path, text in project(name, kind).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder / f"mgbench_{name}.py"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LawCheck]:
    """A component of each kind, from a project of its own."""
    folder = tmp_path_factory.mktemp("projects")
    files = [str(written(folder / kind, f"brand_new_{kind}", kind)) for kind in KINDS]
    return {one.kind: one for one in law_checks(files)}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind for kind in KINDS]
)
def test_a_new_plugin_of_every_kind_keeps_the_laws(fresh: dict[str, LawCheck], kind: str) -> None:
    assert str(fresh[kind].spec) == f"brand_new_{kind}"
    fresh[kind]()


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_a_project_go_together(kind: str) -> None:
    files = project("brand_new", kind)
    assert set(files) == {
        "pyproject.toml",
        "README.md",
        "mgbench_brand_new.py",
        "test_brand_new.py",
        ".github/workflows/tests.yml",
    }
    told = tomllib.loads(files["pyproject.toml"])
    assert told["project"]["entry-points"]["mgbench"] == {"brand_new": "mgbench_brand_new"}
    assert not [path for path, text in files.items() if "$" in text]
    for path in ("mgbench_brand_new.py", "test_brand_new.py"):
        assert all(len(line) <= 130 for line in files[path].splitlines())
        compile(files[path], path, "exec")


def test_the_command_writes_it_and_says_what_next(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("new-plugin", "brand_new", "--kind", "mask_schedule")
    assert answer.code == 0
    assert "mgbench check mgbench_brand_new.py" in answer.out
    assert (tmp_path / "mgbench-brand-new" / "pyproject.toml").is_file()
    checked = mgbench("check", "mgbench-brand-new/mgbench_brand_new.py")
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "1 holds")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("linear", "--kind", "mask_schedule"), "'linear' is the name of a component already"),
        (("emigm", "--kind", "mask_schedule"), "'emigm' is the name of a plugin already"),
        (("my-ramp", "--kind", "mask_schedule"), "such as 'my_ramp'"),
        (("ramp", "--kind", "mask_shcedule"), "did you mean 'mask_schedule'?"),
        (("ramp", "--kind", "masking", "-o", "full"), "full is not empty"),
    ],
)
def test_what_cannot_be_is_refused(mgbench: Command, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    answer = mgbench("new-plugin", *arguments)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.slow
def test_a_new_plugin_is_installed_by_pip_and_passes_its_own_tests(tmp_path: Path) -> None:
    folder = written(tmp_path / "project", "brand_new", "mask_schedule").parent
    python = clean_environment(tmp_path / "env")
    ran(python, *INSTALL, ".", folder=folder)
    assert "1 passed" in ran(python, "-m", "pytest", "-q", folder=folder)
    assert "brand_new" in ran(python, "-m", "mgbench", "plugins", "--no-check", folder=tmp_path)
