"""Plugins by file, module and entry point; a broken one is named, and takes nothing else down."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from mgbench.errors import UserError
from mgbench.recipes.fingerprint import fingerprint_of
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec
from mgbench.registry import loading as plugins
from mgbench.registry.loading import Source, find, installed, load, ours
from mgbench.registry.registry import HOOKS, Registry
from tests import doubles

GOOD = '''
"""A stranger's schedule."""
from dataclasses import dataclass
from typing import Annotated
from mgbench import Recipe, hookimpl
from mgbench.interfaces.components import GuidanceSchedule
from mgbench.recipes.spec import Part, Positive

@dataclass(frozen=True)
class Power:
    exponent: Positive = 2.0
    def __call__(self, t):
        return t**self.exponent

@dataclass(frozen=True)
class Twice:
    inner: Annotated[GuidanceSchedule, Part("guidance_schedule")]
    def __call__(self, step):
        return 2 * self.inner(step)

@hookimpl
def mgbench_mask_schedules():
    return {"power": Power}

@hookimpl
def mgbench_guidance_schedules():
    return {"twice": Twice}

@hookimpl
def mgbench_recipes():
    return {"mine": Recipe(mask_schedule="power(exponent=3)")}
'''

TRACKER = """
from mgbench import hookimpl
@hookimpl
def mgbench_run_started():
    raise RuntimeError("not yet")
@hookimpl
def mgbench_step_logged(values, step=0):
    return values, step
"""

PART = """
from dataclasses import dataclass
from mgbench import hookimpl
@dataclass(frozen=True)
class Power:
    exponent: float = 2.0
"""

BROKEN = {
    "syntax": ("def broken(:\n", "SyntaxError"),
    "import": ("import a_package_that_nobody_has\n", "a_package_that_nobody_has"),
    "misspelt": (
        PART + "@hookimpl\ndef mgbench_mask_schedule():\n    return {'power': Power}\n",
        "mgbench_mask_schedule",
    ),
    "argument": (PART + "@hookimpl\ndef mgbench_mask_schedules(registry):\n    return {'power': Power}\n", "registry"),
    "duplicate": (PART + "@hookimpl\ndef mgbench_mask_schedules():\n    return {'linear': Power}\n", "'linear'"),
    "raising": (PART + "@hookimpl\ndef mgbench_mask_schedules():\n    raise RuntimeError('no luck')\n", "no luck"),
    "nonsense": (PART + "@hookimpl\ndef mgbench_mask_schedules():\n    return 5\n", "mgbench_mask_schedules"),
    "nonsense_maker": (PART + "@hookimpl\ndef mgbench_mask_schedules():\n    return {'power': 5}\n", "power"),
    "nonsense_class": (
        PART + "class Bare: ...\n@hookimpl\ndef mgbench_mask_schedules():\n    return {'power': Bare}\n",
        "power",
    ),
    "nonsense_name": (PART + "@hookimpl\ndef mgbench_mask_schedules():\n    return {'my power': Power}\n", "my power"),
    "nonsense_reference": (
        "from mgbench import hookimpl\n@hookimpl\ndef mgbench_references():\n    return {'a2026': '@misc{b2026,}'}\n",
        "no BibTeX entry of that key",
    ),
    "duplicate_reference": (
        "from mgbench import hookimpl\n@hookimpl\ndef mgbench_references():\n"
        "    return {'you2025effective': '@misc{you2025effective,}'}\n",
        "both offer 'you2025effective'",
    ),
    "nonsense_recipe": (PART + "@hookimpl\ndef mgbench_recipes():\n    return {'mine': 5}\n", "mine"),
    "method": (
        PART + "from mgbench import Recipe\n@hookimpl\ndef mgbench_recipes():\n    return {'emigm': Recipe()}\n",
        "emigm",
    ),
    "annotation": (
        PART + "@dataclass(frozen=True)\nclass Odd:\n    x: 'Nowhere' = 1\n"
        "@hookimpl\ndef mgbench_mask_schedules():\n    return {'odd': Odd}\n",
        "Nowhere",
    ),
    "wrapping": (
        "from mgbench import hookimpl\n@hookimpl(wrapper=True)\ndef mgbench_run_started(run):\n    yield\n",
        "mgbench_run_started is a wrapper",
    ),
    "life": ("from mgbench import hookimpl\n@hookimpl\ndef mgbench_run_started(trial):\n    pass\n", "trial"),
    "exit": ("import sys\nsys.exit(3)\n", "3"),
}


def file(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Announce further plugins, as installed distributions do."""

    def add(**targets: str) -> None:
        more = [EntryPoint(name, target, plugins.GROUP) for name, target in targets.items()]
        real = plugins.entry_points
        monkeypatch.setattr(plugins, "entry_points", lambda group: [*real(group=group), *more])

    return add


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the module path, whose modules are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_our_parts_come_through_the_same_door() -> None:
    registry = load()
    assert registry.problems == {}
    assert registry.names("mask_schedule")["linear"].plugin == "schedules.mask_schedules"
    assert registry.names("masking")["shared"].plugin == "emigm"
    assert set(ours()) & set(installed()) == set()


def test_a_schedule_of_training_is_one_of_sampling() -> None:
    registry = load()
    assert registry.names("sampling_schedule") == registry.names("mask_schedule")


def test_a_file_brings_its_parts_and_recipes(tmp_path: Path) -> None:
    source = find(str(file(tmp_path, GOOD)))
    registry = load([source])
    assert source.name == "mine"
    assert registry.names("mask_schedule")["power"].plugin == "mine"
    assert registry.recipes["mine"]["mine"] == Recipe(mask_schedule="power(exponent=3)")  # type: ignore[arg-type]


def test_a_relative_path_is_found_from_anywhere_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    source = find("mine.py")
    monkeypatch.chdir("/")
    assert "power" in load([source]).names("mask_schedule")


def test_a_module_is_found_by_its_dotted_name(importable: Path) -> None:
    file(importable, "", "strangers/__init__.py")
    file(importable, GOOD, "strangers/power.py")
    source = find("strangers.power")
    assert (source.name, source.target) == ("power", "strangers.power")
    assert load([source]).names("mask_schedule")["power"].plugin == "power"


def test_an_installed_plugin_is_found_by_its_announced_name(importable: Path, announce: Callable[..., None]) -> None:
    file(importable, GOOD, "stranger.py")
    announce(power="stranger")
    assert find("power") == Source("power", "stranger")
    assert load().names("mask_schedule")["power"].plugin == "power"


def test_a_stranger_s_component_works_from_its_spelling_to_its_numbers(tmp_path: Path) -> None:
    registry = load([find(str(file(tmp_path, GOOD)))])
    schedule = registry.build("mask_schedule", Spec.parse("power(3)"))
    assert schedule(torch.tensor([0.5])).item() == 0.125
    guidance = registry.build("guidance_schedule", Spec.parse("twice(inner=constant(scale=1.5))"))
    assert guidance(None) == 3.0


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_that_was_asked_for_is_refused_with_its_name_and_reason(tmp_path: Path, name: str) -> None:
    text, reason = BROKEN[name]
    with pytest.raises(UserError) as caught:
        load([find(str(file(tmp_path, text, f"{name}_plugin.py")))])
    assert f"{name}_plugin" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_plugin_that_is_only_installed_takes_no_other_down(
    importable: Path, announce: Callable[..., None], name: str
) -> None:
    text, reason = BROKEN[name]
    file(importable, text, f"broken_{name}.py")
    file(importable, GOOD, "stranger.py")
    announce(**{f"aaa_{name}": f"broken_{name}", "stranger": "stranger"})
    registry = load()
    assert list(registry.problems) == [f"aaa_{name}"]
    assert f"aaa_{name}" in registry.problems[f"aaa_{name}"]
    assert reason in registry.problems[f"aaa_{name}"]
    assert {"linear", "exp", "power"} <= set(registry.names("mask_schedule"))
    assert registry.names("mask_schedule")["linear"].plugin == "schedules.mask_schedules"
    assert {"emigm", "maskgit", "stranger"} <= set(registry.recipes)
    assert f"aaa_{name}" not in registry.recipes


def test_seven_broken_plugins_at_once_leave_the_others_whole(importable: Path, announce: Callable[..., None]) -> None:
    seven = ["syntax", "import", "misspelt", "argument", "duplicate", "raising", "nonsense"]
    for name in seven:
        file(importable, BROKEN[name][0], f"broken_{name}.py")
    announce(**{name: f"broken_{name}" for name in seven})
    registry = load()
    assert set(registry.problems) == set(seven)
    assert registry.offers == load().offers
    assert {"emigm", "maskgit"} <= set(registry.recipes)


def test_a_name_that_is_offered_twice_names_both_plugins(tmp_path: Path) -> None:
    first, second = file(tmp_path, GOOD, "first.py"), file(tmp_path, GOOD, "second.py")
    with pytest.raises(UserError) as caught:
        load([find(str(first)), find(str(second))])
    assert "'first'" in str(caught.value)
    assert "'second'" in str(caught.value)


def test_a_method_that_is_offered_twice_names_both_plugins(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load([find(str(file(tmp_path, BROKEN["method"][0])))])
    assert "'emigm'" in str(caught.value)
    assert "'mine'" in str(caught.value)


@pytest.mark.parametrize("name", ["samplers", "masked", "mask_schedules"])
def test_a_plugin_called_like_one_of_our_files_takes_nothing_away(tmp_path: Path, name: str) -> None:
    try:
        registry = load([find(str(file(tmp_path, GOOD, f"{name}.py")))])
    except UserError as error:
        assert name in str(error)  # noqa: PT017
        return
    assert "random_order" in registry.names("sampler")
    assert "masked" in registry.names("process")
    assert "power" in registry.names("mask_schedule")


def test_two_files_of_one_name_in_two_folders_are_not_silently_one(tmp_path: Path) -> None:
    other = GOOD.replace("power", "root").replace("twice", "thrice").replace('"mine"', '"other"')
    sources = [find(str(file(tmp_path, GOOD, "a/mine.py"))), find(str(file(tmp_path, other, "b/mine.py")))]
    try:
        registry = load(sources)
    except UserError as error:
        assert "mine" in str(error)  # noqa: PT017
        return
    assert {"power", "root"} <= set(registry.names("mask_schedule"))


def test_a_plugin_loaded_twice_is_one(tmp_path: Path) -> None:
    source = find(str(file(tmp_path, GOOD)))
    assert "power" in load([source, source]).names("mask_schedule")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("emgim", r"no plugin is called 'emgim'; did you mean 'emigm'\?"),
        ("Mask-GIT", r"did you mean 'maskgit'\?"),
        ("zzz", "there are .*emigm"),
        ("nowhere.py", "no plugin file 'nowhere.py'"),
        ("uniform_state", "the process 'uniform_state' is in the plugin 'duo'"),
        ("emigm-unguided", "the method 'emigm-unguided' is in the plugin 'emigm'"),
        ("random_order", "the sampler 'random_order' is built in"),
        ("nowhere.at.all", "no plugin is called 'nowhere.at.all'"),
        ("", "no plugin is called ''"),
        ("..", "no plugin is called"),
    ],
)
def test_an_unknown_plugin_is_told_with_the_nearest(wanted: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        find(wanted)


def test_a_module_whose_package_does_not_import_is_told(importable: Path) -> None:
    file(importable, "def broken(:\n", "broken_package/__init__.py")
    file(importable, GOOD, "broken_package/power.py")
    with pytest.raises(UserError, match="broken_package"):
        load([find("broken_package.power")])


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("mask_schedule", "linaer", r"no mask schedule is called 'linaer'; did you mean 'linear'\?"),
        ("metric", "fld", r"no metric is called 'fld'; did you mean 'fid'\?"),
        ("sampler", "MaskGIT", r"did you mean 'maskgit'\?"),
        ("mask_schedule", "exp(rat=3)", r"no option 'rat'; did you mean 'rate'\?"),
        ("mask_schedule", "exp(rate='3')", r"exp\(rate='3'\): option 'rate' is '3', and should be"),
        ("mask_schedule", "exp(rate=0)", "greater than 0"),
        ("guidance_schedule", "interval(low=0.1)", "interval.*needs high, inner"),
        ("guidance_schedule", "interval(low=0.5, high=0.1, inner=constant)", "must be below"),
        ("guidance_schedule", "interval(low=0, high=1, inner=constnat)", r"did you mean 'constant'\?"),
        ("guidance_schedule", "interval(low=0, high=1, inner=constant(scal=2))", r"did you mean 'scale'\?"),
        ("guidance_schedule", "interval(low=0, high=1, inner=3)", "inner|cannot read|not a spec"),
        ("guidance_schedule", "interval(low=0, high=1, inner=[constant])", "inner|cannot read|not a spec"),
    ],
)
def test_a_spec_that_cannot_be_built_is_told(registry: Registry, kind: str, spec: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        registry.build(kind, Spec.parse(spec))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("mask_schedule", "exp", "exp(rate=5)"),
        ("mask_schedule", "exp(3)", "exp(rate=3.0)"),
        ("tokenizer", "kmeans(size=4, codes=8)", "kmeans(8, size=4)"),
        ("guidance_schedule", "interval(0, 1, constant)", "interval(high=1.0, low=0.0, inner=constant(scale=2))"),
    ],
)
def test_two_spellings_of_one_component_resolve_alike_and_spell_alike(
    registry: Registry, kind: str, one: str, other: str
) -> None:
    assert registry.resolve(kind, Spec.parse(one)) == registry.resolve(kind, Spec.parse(other))
    assert str(registry.spell(kind, Spec.parse(one))) == str(registry.spell(kind, Spec.parse(other)))
    assert registry.build(kind, Spec.parse(one)) == registry.build(kind, Spec.parse(other))


def test_what_is_resolved_leaves_defaults_out_and_what_is_spelled_puts_them_in(registry: Registry) -> None:
    spec = Spec.parse("kmeans(codes=64, size=4)")
    assert str(registry.resolve("tokenizer", spec)) == "kmeans(size=4)"
    assert str(registry.spell("tokenizer", spec)) == "kmeans(codes=64, size=4)"


def test_the_spelling_of_a_component_builds_the_same_component(registry: Registry) -> None:
    for kind in HOOKS:
        for name in registry.names(kind):
            try:
                built = registry.build(kind, Spec(name))
            except UserError:
                continue  # it has options without a default
            spelled = registry.spell(kind, Spec(name))
            assert registry.build(kind, Spec.parse(str(spelled))) == built


def test_a_part_with_a_default_is_built_too(tmp_path: Path) -> None:
    text = GOOD.replace('Part("guidance_schedule")]', 'Part("guidance_schedule")] = "constant(scale=1.5)"')
    registry = load([find(str(file(tmp_path, text)))])
    assert registry.build("guidance_schedule", Spec("twice"))(None) == 3.0
    same = Spec.parse("twice(inner=constant(1.5))")
    assert registry.resolve("guidance_schedule", same) == Spec("twice")


def test_the_order_in_which_plugins_are_named_changes_nothing(tmp_path: Path) -> None:
    sources = [find(str(file(tmp_path, GOOD))), find(doubles.FILE)]
    one, other = load(sources), load(reversed(sources))
    for kind in HOOKS:
        assert {name: offer.plugin for name, offer in one.names(kind).items()} == {
            name: offer.plugin for name, offer in other.names(kind).items()
        }
    assert one.recipes == other.recipes


def test_the_hooks_of_a_run_s_life_are_kept_and_not_called(tmp_path: Path) -> None:
    registry = load([find(str(file(tmp_path, TRACKER, "tracker.py")))])
    assert set(registry.trackers) == {"mlflow", "tensorboard", "tracker", "wandb"}
    assert set(registry.trackers["tracker"]) == {"mgbench_run_started", "mgbench_step_logged"}


def test_such_a_hook_is_called_with_what_it_takes(tmp_path: Path) -> None:
    life = load([find(str(file(tmp_path, TRACKER, "tracker.py")))]).trackers["tracker"]
    assert life["mgbench_step_logged"](run=None, stage="train", step=3, values={"loss": 1.0}) == ({"loss": 1.0}, 3)
    with pytest.raises(RuntimeError, match="not yet"):
        life["mgbench_run_started"](run=None)


def test_a_row_names_the_plugins_of_its_method_and_of_its_components_with_their_code(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD)
    registry = load([find(str(path))])
    method = {"mask_schedule": "power(exponent=3.0)", "sampler": "random_order", "solver": None, "metrics": ["fid"]}
    method["guidance_schedule"] = "twice(inner=constant(scale=2.0))"
    said = registry.versions("emigm", method)
    hashed = fingerprint_of(registry.names("mask_schedule")["power"].maker.__module__)
    assert [text.partition(" ")[0] for text in said[:2]] == ["emigm", "mine"]
    assert said[1] == f"mine {hashed} ({path})"
    distribution = installed()["emigm"].distribution
    assert said[0].endswith(f" ({distribution})")
    assert distribution.startswith("mgbench ")
    assert {text.partition(" ")[0] for text in said[2:]} == {
        "samplers.position_first",
        "schedules.guidance_schedules",
        "metrics.distances",
    }
