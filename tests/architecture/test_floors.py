"""The house keeps its shape: imports point down only, rooms do not know each other, nothing branches on a component's name."""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mgbench
from mgbench import hookspecs
from mgbench.interfaces.tracking import LIFE_HOOKS
from mgbench.registry.loading import load
from mgbench.registry.registry import HOOKS as HOOK_OF

ROOT = Path(__file__).resolve().parents[2]
OURS = [*(ROOT / "mgbench").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]
# Lowest first. Rooms of one floor never import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "machine"),
    ("recipes", "results"),
    ("interfaces",),
    ("hookspecs", "report", "stages", "testing"),
    ("components",),
    ("registry",),
    ("trials",),
    ("engines", "tuning"),
    ("cli",),
)
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}
# The only modules that may lie in the root.
LOOSE = {"errors", "hookspecs", "machine"}
# The doors of the package: what is on them is imported on first use.
DOORS = ("__init__", "__main__")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "mgbench").with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether at its top (not inside a function, nor for type checking only)."""
    package = (
        "mgbench" if path.is_relative_to(ROOT / "mgbench") else "mgbench_plugins",
        *path.parent.relative_to(ROOT).parts[1:],
    )
    lazy = {id(inner) for node in ast.walk(tree(path)) if _is_lazy(node) for inner in ast.walk(node)}
    for node in ast.walk(tree(path)):
        top = id(node) not in lazy
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            yield base, top
            yield from ((f"{base}.{alias.name}", top) for alias in node.names)


def _is_lazy(node: ast.AST) -> bool:
    for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or for_types


def own(module: str) -> str:
    """The room that a module of ours lies in, or nothing."""
    parts = module.split(".")
    return parts[1] if parts[0] == "mgbench" and len(parts) > 1 and parts[1] in LEVEL else ""


PACKAGE = [path for path in (ROOT / "mgbench").rglob("*.py") if room(path) not in DOORS]


def test_every_file_lies_in_a_room() -> None:
    assert {room(path) for path in PACKAGE} <= set(LEVEL)
    assert {path.stem for path in (ROOT / "mgbench").glob("*.py")} - set(DOORS) == LOOSE


@pytest.mark.parametrize("path", PACKAGE, ids=shown)
def test_imports_point_down_only(path: Path) -> None:
    here = room(path)
    for module, _ in imports(path):
        there = own(module)
        if there and there != here:
            assert LEVEL[there] < LEVEL[here], f"{here} imports {module}, which does not lie below it"


# Rooms between which nothing else lies: what a report says comes from records, what a record is knows no recipe.
CORE = [path for path in PACKAGE if LEVEL[room(path)] > LEVEL["components"] and room(path) != "cli"]


@pytest.mark.parametrize("path", CORE, ids=shown)
def test_no_core_room_knows_a_component(path: Path) -> None:
    """Components come through hooks; only who loads plugins names their package."""
    assert not [module for module, _ in imports(path) if module.startswith("mgbench.components.")]


def modules_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, whether at its top or later."""
    return {module for module, _ in imports(path) if module in BY_MODULE}


BY_MODULE = {
    ".".join((*path.relative_to(ROOT).parent.parts, path.stem)).removesuffix(".__init__"): path for path in PACKAGE
}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Every way along arrows that comes back to where it began, found once each."""
    found, done = [], set()

    def walk(node: str, way: list[str]) -> None:
        if node in way:
            found.append(way[way.index(node) :])
        elif node not in done:
            for other in sorted(arrows.get(node, ())):
                walk(other, [*way, node])
            done.add(node)

    for node in sorted(arrows):
        walk(node, [])
    return found


def test_no_imports_go_round_in_a_circle() -> None:
    inner = {name: path for name, path in BY_MODULE.items() if path.stem != "__init__"}
    arrows = {
        name: {other for other in modules_of(path) if other in inner and other != name} for name, path in inner.items()
    }
    assert sum(map(len, arrows.values())) > 500
    assert not circles(arrows)
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def picture(depth: int) -> tuple[int, int]:
    """Rooms, folders to this depth, and arrows between them: imports of any kind from one room to another."""

    def place(module: str) -> str:
        parts = module.split(".")[1:]
        folders = parts if BY_MODULE[module].stem == "__init__" else parts[:-1]
        return "/".join(folders[:depth]) or parts[0]

    arrows = {(place(name), place(other)) for name, path in BY_MODULE.items() for other in modules_of(path)}
    return len({place(name) for name in BY_MODULE}), len({(one, other) for one, other in arrows if one != other})


def test_there_are_no_more_arrows_than_the_design_says() -> None:
    """A new arrow between rooms is a change of the design."""
    rooms, arrows = picture(1)
    text = " ".join((ROOT / "docs" / "design.md").read_text(encoding="utf-8").split())
    said = re.search(r"(\d+) rooms on (\d+) floors with (\d+) arrows, none up and no circle", text)
    assert said is not None
    assert (int(said[1]), int(said[2])) == (rooms, len(FLOORS))
    assert arrows <= int(said[3])


COMMANDS = [path for path in PACKAGE if path.parent == ROOT / "mgbench" / "cli" / "commands"]


def test_every_file_of_commands_is_a_command() -> None:
    from mgbench.cli.app import COMMANDS as NAMES

    assert sorted(NAMES) == sorted(path.stem for path in COMMANDS if path.stem != "__init__")


@pytest.mark.parametrize("path", [path for path in PACKAGE if room(path) == "cli"], ids=shown)
def test_no_command_is_imported_by_another_nor_by_what_commands_share(path: Path) -> None:
    assert not [module for module, _ in imports(path) if module.startswith("mgbench.cli.commands")]


def test_the_door_leads_nowhere_up_and_its_stub_to_where_names_are() -> None:
    door = ROOT / "mgbench" / "__init__.py"
    assert {own(module) for module, _ in imports(door)} <= {"", "interfaces"}
    stub = ast.parse(door.with_suffix(".pyi").read_text(encoding="utf-8"))
    named = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == mgbench._HOMES
    assert sorted(named) == sorted(mgbench.__all__)


@pytest.mark.parametrize("path", list((ROOT / "plugins").glob("*.py")), ids=shown)
def test_a_plugin_imports_what_a_stranger_s_could(path: Path) -> None:
    for module, _ in imports(path):
        assert LEVEL.get(own(module), 0) <= LEVEL["components"], f"{shown(path)} imports {module}"
        assert own(module) not in ("stages", "report"), f"{shown(path)} imports {module}"
        assert module not in ("mgbench.results.store", "mgbench.results.files"), f"{shown(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in PACKAGE if room(path) == "stages"], ids=shown)
def test_stages_know_neither_components_nor_plugins(path: Path) -> None:
    assert not [module for module, _ in imports(path) if own(module) in ("components", "hookspecs")]
    assert not [module for module, _ in imports(path) if module.startswith("mgbench_plugins")]


@pytest.mark.parametrize("path", [path for path in PACKAGE if room(path) == "report"], ids=shown)
def test_the_report_reads_records_only(path: Path) -> None:
    outside = {module.partition(".")[0] for module, _ in imports(path)}
    assert not outside & {"torch", "pluggy", "accelerate", "diffusers", "sklearn"}
    # What a metric declares of its numbers is plain data, which records hold.
    rooms = {own(module) for module, _ in imports(path) if not module.startswith("mgbench.interfaces.scores")}
    assert rooms <= {"", "errors", "machine", "recipes", "results", "report"}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in PACKAGE
        if room(path) in ("cli", "recipes", "results", "registry", "hookspecs")
        or shown(path).startswith("mgbench/interfaces/components")
    ],
    ids=shown,
)
def test_what_help_and_planning_import_has_no_torch_at_its_top(path: Path) -> None:
    assert "torch" not in {module.partition(".")[0] for module, top in imports(path) if top}


@pytest.mark.parametrize("path", OURS, ids=shown)
def test_no_file_is_over_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", OURS, ids=shown)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    assert path.stem not in ("utils", "util", "helpers", "common", "misc", "base")
    assert ast.get_docstring(tree(path))


@cache
def registered() -> frozenset[str]:
    """The names of all components and methods."""
    registry = load()
    components = {name for kind in HOOK_OF for name in registry.names(kind)}
    return frozenset(components | {method for recipes in registry.recipes.values() for method in recipes})


def compared(path: Path) -> Iterator[tuple[int, str]]:
    """Every text constant that a file compares with, matches on or looks up in a table of cases, and its line."""
    for node in ast.walk(tree(path)):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith", "removeprefix")
        ):
            parts = list(node.args)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
            parts = [key for key in node.value.keys if key]
        for part in parts:
            yield from (
                (part.lineno, inner.value)
                for inner in ast.walk(part)
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
            )


# Values of options that happen to be called like a component: (file, value).
OPTION_VALUES = {
    ("mgbench/stages/optimizer.py", "constant"),
    ("mgbench/stages/evaluate.py", "features"),
    ("mgbench/report/published/data.py", "guidance"),
}


@pytest.mark.parametrize("path", [path for path in OURS if path.is_relative_to(ROOT / "mgbench")], ids=shown)
def test_nothing_branches_on_the_name_of_a_component(path: Path) -> None:
    found = [
        (line, text)
        for line, text in compared(path)
        if text in registered() and (shown(path), text) not in OPTION_VALUES
    ]
    assert not found, f"{shown(path)} branches on {found}"


def test_every_exception_is_needed() -> None:
    assert not [(file, text) for file, text in OPTION_VALUES if text not in {said for _, said in compared(ROOT / file)}]


def test_the_walk_for_names_finds_them(tmp_path: Path) -> None:
    """The test above would also pass if it saw nothing."""
    file = tmp_path / "bad.py"
    branches = (
        "if name == 'emigm': pass",
        "if x in ('maskgit', 'y'): pass",
        "match name:\n    case 'patch' | 'kmeans': pass",
        "{'linear': f}[name]()",
    )
    file.write_text("\n".join(branches))
    assert {text for _, text in compared(file)} >= {"emigm", "maskgit", "patch", "kmeans", "linear"}
    assert {"emigm", "maskgit", "patch", "kmeans", "linear", "masked", "fid", "digits"} <= registered()


HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("mgbench_"))


def test_there_is_one_hook_per_kind_one_for_methods_one_for_references_and_those_of_a_run_s_life() -> None:
    assert set(HOOKS) == {*HOOK_OF.values(), "mgbench_recipes", "mgbench_references", *LIFE_HOOKS}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_told_of_a_run_or_offers_something_and_never_both(hook: str) -> None:
    signature = inspect.signature(vars(hookspecs)[hook])
    told, offers = list(signature.parameters), signature.return_annotation is not None
    assert (told[:1] == ["run"], offers) in ((True, False), (False, True))
    assert (hook in LIFE_HOOKS) == (not offers)


@pytest.mark.parametrize("path", list((ROOT / "plugins").glob("*.py")), ids=shown)
def test_a_plugin_imports_the_library_of_a_tracker_only_when_a_run_starts(path: Path) -> None:
    at_top = {module.partition(".")[0] for module, top in imports(path) if top}
    assert not at_top & {"accelerate", "mlflow", "tensorboard", "wandb"}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_is(hook: str) -> None:
    assert vars(hookspecs)[hook].__doc__


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_packed() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "mgbench").rglob("*.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {".".join(folder.parts) for folder in folders} | {
        "mgbench_plugins"
    }


def test_the_types_and_the_data_of_the_package_are_packed() -> None:
    assert (ROOT / "mgbench" / "py.typed").is_file()
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["mgbench"]
    packed = {path for pattern in patterns for path in (ROOT / "mgbench").glob(pattern)}
    data = {path for path in (ROOT / "mgbench").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert data <= packed


def test_every_plugin_file_is_announced() -> None:
    files = {path.stem for path in (ROOT / "plugins").glob("*.py")} - {"__init__"}
    announced = PROJECT["project"]["entry-points"]["mgbench"]
    assert announced == {name: f"mgbench_plugins.{name}" for name in files}
