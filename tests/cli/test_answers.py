"""What the commands show, and what bad input gets: a sentence, exit code 2, no traceback, and nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.results.record import StudyView
from mgbench.results.store import RECORD, Store
from mgbench.trials.plan import plan_rows
from tests import doubles
from tests.cli.conftest import Command
from tests.doubles import TINY
from tests.report.synthetic import record, store


def squeezed(text: str) -> str:
    """The text without the line breaks that tables put into long cells."""
    return " ".join(text.replace("│", " ").split())


def test_list_shows_every_kind_with_its_parts_options_and_plugins(mgbench: Command) -> None:
    answer = mgbench("list")
    assert answer.code == 0
    for shown in (
        "mask_schedule",
        "exp(rate=5.0)",
        "[emigm]",
        "what are the images?",
        "metric",
        "fid",
        "emigm-unguided",
    ):
        assert shown in answer.out
    assert answer.err == ""


def test_list_of_one_kind_shows_what_each_part_is(mgbench: Command) -> None:
    answer = mgbench("list", "mask_schedule")
    assert answer.code == 0
    assert "linear" in answer.out
    assert "γ(t) = t" in answer.out
    assert "kmeans" not in answer.out


def test_list_shows_the_parts_of_a_file(mgbench: Command) -> None:
    answer = mgbench("list", "process", "--plugins", doubles.FILE)
    assert "gaussian" in answer.out
    assert "[doubles]" in answer.out


def test_list_as_json_has_options_with_types_and_defaults_and_the_papers(mgbench: Command) -> None:
    answer = mgbench("list", "--json")
    assert answer.code == 0
    content = json.loads(answer.out)
    assert content["kinds"]["mask_schedule"] == "what share of the tokens is masked at time t?"
    parts = {(part["kind"], part["name"]): part for part in content["components"]}
    assert parts["masking", "beta"]["options"][0] == {
        "name": "a",
        "type": {"exclusiveMinimum": 0, "type": "number"},
        "default": 12.0,
    }
    assert parts["masking", "beta"]["papers"] == ["2406.05478"]
    assert parts["mask_schedule", "linear"]["known_as"] == ["uniform", "loglinear"]
    rounding = next(option for option in parts["masking", "exact"]["options"] if option["name"] == "rounding")
    assert rounding["type"]["enum"] == ["ceil", "round", "floor"]
    inner = parts["guidance_schedule", "interval"]["options"][2]
    assert inner == {"name": "inner", "type": {"component": "guidance_schedule"}}
    method = next(method for method in content["methods"] if method["name"] == "mar")
    assert method["plugin"] == "mar"
    assert "2406.11838" in method["papers"]
    assert method["recipe"]["mask_schedule"] == "cosine"


def test_list_of_one_kind_as_json_has_that_kind_alone(mgbench: Command) -> None:
    content = json.loads(mgbench("list", "head", "--json").out)
    assert {part["kind"] for part in content["components"]} == {"head"}
    assert "methods" not in content


def keep_study(folder: Path, references: str = "") -> None:
    view = StudyView("grid", (("key", "mar"),), "mgbench run --plugins mar", references)
    Store(folder / "results").save_study(view)


def test_cite_prints_the_entries_of_a_study(mgbench: Command, tmp_path: Path) -> None:
    keep_study(tmp_path, "% mar\n@misc{li2024autoregressive,\n}")
    answer = mgbench("cite", "grid")
    assert answer.code == 0
    assert answer.out == "% mar\n@misc{li2024autoregressive,\n}\n"


def test_cite_says_what_it_cannot_cite(mgbench: Command, tmp_path: Path) -> None:
    keep_study(tmp_path)
    answer = mgbench("cite", "grd")
    assert answer.code == 2
    assert "holds no study 'grd'; did you mean 'grid'?" in answer.err
    answer = mgbench("cite", "grid")
    assert answer.code == 2
    assert "stores no references; run it again (stored rows are reused): mgbench run --plugins mar" in answer.err


def test_plugins_are_told_with_what_they_bring(mgbench: Command) -> None:
    answer = mgbench("plugins", "--json")
    rows = {row["name"]: row for row in json.loads(answer.out)}
    assert answer.code == 0
    assert rows["emigm"]["brings"] == ["maskings", "samplers", "solvers", "recipes", "references"]
    assert "2503.07197" in rows["emigm"]["about"]
    assert not any(row["problem"] for row in rows.values())


def test_plan_shows_every_recipe_and_the_trials_they_share(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("plan", "--plugins", "emigm,maskgit")
    assert answer.code == 0
    assert "study emigm-maskgit" in answer.out
    assert "30 recipes: 30 to compute in 4 trials (4 to train, 0 trained already), 0 reused, 0 skipped" in squeezed(
        answer.out
    )
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_decides_its_steps_has_one_row_whatever_is_asked(mgbench: Command) -> None:
    answer = mgbench("plan", "--plugins", "var", "--methods", "var", "--vary", "sampling_steps=2,4,8", "--no-costs")
    rows = [line.split() for line in answer.out.splitlines()]
    assert [row[:3] for row in rows if row[:1] == ["var"] and len(row) > 6] == [["var", "–", "0"]]


def test_plan_takes_only_the_methods_that_are_named(mgbench: Command) -> None:
    answer = mgbench(
        "plan", "--plugins", "emigm,maskgit", "--methods", "emigm", "--vary", "sampling_steps=4", "--seeds", "0,1"
    )
    assert "2 recipes: 2 to compute in 2 trials" in squeezed(answer.out)
    assert "maskgit " not in answer.out.partition("\n")[2]


def test_plan_reads_a_study_and_the_options_over_it(mgbench: Command, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        'plugins = ["maskgit"]\nmethods = ["maskgit"]\n[vary]\nsampling_steps = [1, 2]\n'
    )
    assert "2 recipes: 2 to compute in 1 trial" in squeezed(mgbench("plan", "grid.toml").out)
    assert "4 recipes: 4 to compute in 2 trials" in squeezed(mgbench("plan", "grid.toml", "--seeds", "0,1").out)


def test_a_seed_that_is_set_is_the_seed(mgbench: Command) -> None:
    one, other = (
        mgbench("plan", "--plugins", "maskgit", "--set", f"seed={seed}", "--set", "sampling_steps=1").out
        for seed in (0, 3)
    )
    assert one != other


def test_parts_that_cannot_work_together_are_a_skipped_row_with_the_reason(mgbench: Command) -> None:
    answer = mgbench(
        "plan",
        "--plugins",
        "emigm",
        "--vary",
        "sampler=maskgit,random_order",
        "--vary",
        "sampling_steps=1",
        "--methods",
        "emigm",
    )
    assert answer.code == 0
    assert "skipped: maskgit ranks codes by" in squeezed(answer.out)
    assert "2 recipes: 1 to compute in 1 trial (1 to train, 0 trained already), 0 reused, 1 skipped" in squeezed(
        answer.out
    )


def test_a_run_of_nothing_but_skipped_rows_ends_well(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench(
        "run",
        "--plugins",
        "emigm",
        "--vary",
        "sampler=maskgit",
        "--vary",
        "sampling_steps=1",
        "--methods",
        "emigm",
        "--devices",
        "cpu",
    )
    assert answer.code == 0, answer.err
    assert "ranks codes" in squeezed(answer.out)
    (record,) = (tmp_path / "results" / "runs").glob("*/record.json")
    assert '"skipped"' in record.read_text()


def test_a_broken_record_is_set_aside_and_said(mgbench: Command, tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    row = plan_rows(load([find(doubles.FILE)]), Study("s", {"tiny": TINY}), store)[0]
    store.save_record(row.record("done"))
    arguments = ("plan", "--plugins", doubles.FILE, "--methods", "tiny", "--vary", "sampling_steps=2")
    assert "1 reused" in squeezed(mgbench(*arguments).out)
    path = store.layout.run(row.key) / RECORD
    path.write_text(path.read_text()[:50])
    answer = mgbench(*arguments)
    assert answer.code == 0
    assert "record.json.corrupt" in answer.err
    assert "1 to compute" in squeezed(answer.out)


STUDY = 'plugins = ["emigm"]\n[vary]\nsampling_step = [1]\n'
BAD = [
    (["run", "--plugins", "emgim"], "no plugin is called 'emgim'; did you mean 'emigm'?"),
    (["run", "--plugins", "mask-git"], "did you mean 'maskgit'?"),
    (["plan", "--plugins", "maskgit,nope"], "no plugin is called 'nope'"),
    (["plan", "--plugins", "nowhere.py"], "no plugin file 'nowhere.py'"),
    (
        ["plan", "--plugins", "emigm", "--vary", "mask_schedule=exp(rat=3)"],
        "exp has no option 'rat'; did you mean 'rate'?",
    ),
    (
        ["plan", "--plugins", "emigm", "--vary", "mask_schedule=exp(rate=-1)"],
        "option 'rate' is -1, and should be greater than 0",
    ),
    (
        ["plan", "--plugins", "emigm", "--vary", "mask_schedule=linaer"],
        "no mask schedule is called 'linaer'; did you mean 'linear'?",
    ),
    (["plan", "--plugins", "emigm", "--vary", "mask_schedule=exp("], "cannot read 'exp('"),
    (
        ["plan", "--plugins", "emigm", "--vary", "sampling_step=3"],
        "no field 'sampling_step'; did you mean 'sampling_steps'?",
    ),
    (["plan", "--plugins", "emigm", "--set", "dataset=digit"], "no dataset is called 'digit'; did you mean 'digits'?"),
    (["plan", "--plugins", "emigm", "--set", "metrics=fld"], "no metric is called 'fld'; did you mean 'fid'?"),
    (["plan", "--plugins", "emigm", "--set", "metrics=5"], "metrics"),
    (["plan", "--plugins", "emigm", "--set", "train_steps=0"], "train_steps is 0, and should be greater than 0"),
    (["plan", "--plugins", "emigm", "--set", "train_steps=many"], "train_steps is 'many'"),
    (["plan", "--plugins", "emigm", "--set", "foo"], "--set foo needs a value"),
    (["plan", "--plugins", "emigm", "--set", "=3"], "no field ''"),
    (["plan", "--plugins", "emigm", "--vary", "seed"], "--vary seed needs a value"),
    (["plan", "--plugins", "emigm", "--seeds", "a"], "--seeds a is not a list of whole numbers"),
    (["plan", "--plugins", "emigm", "--seeds", "-1"], "seed is -1"),
    (["plan", "--plugins", "emigm", "--methods", "emigm-ungiuded"], "did you mean 'emigm-unguided'?"),
    (["plan", "study.toml"], "study.toml, line 3: [vary] has no key 'sampling_step'; did you mean 'sampling_steps'?"),
    (["plan", "nothing.toml"], "cannot read the study file nothing.toml"),
    (["plan", "emigm"], "there is no study file 'emigm'; it is the name of a plugin: write --plugins emigm"),
    (["plan", "emigm-unguided"], "it is the name of a method: write --methods emigm-unguided"),
    (["plan", "--plugins", "emigm", "--set", "dataset=imagenet"], "imagenet needs path; write imagenet(path=…)"),
    (["run", "--plugins", "emigm", "--devices", "gpu"], "cannot run on 'gpu'"),
    (["run", "--plugins", "emigm", "--devices", "cpu:0"], "cannot run on 'cpu:0'"),
    (
        ["run", "--plugins", "emigm", "--devices", "cpu:1", "--devices-per-trial", "2"],
        "name more, such as --devices cpu:2",
    ),
    (["run", "--plugins", "emigm", "--engine", "locl"], "no engine is called 'locl'; did you mean 'local'?"),
    (
        ["run", "--plugins", "emigm", "--track", "tensorbord"],
        "no plugin is called 'tensorbord'; did you mean 'tensorboard'?",
    ),
    (["run", "--plugins", "emigm", "--track", "nowhere.py"], "no plugin file 'nowhere.py'"),
    (
        ["run", "--plugins", "emigm", "--track", "maskgit"],
        "plugin 'maskgit' cannot track runs: it has none of the hooks mgbench_run_started, mgbench_step_logged, "
        "mgbench_run_finished; "
        "plugins that can are mlflow, tensorboard, wandb",
    ),
    (["run", "--plugins", "emigm", "--engine", "ray(adress=auto)"], "has no option 'adress'; did you mean 'address'?"),
    (["run", "--plugins", "emigm", "--address", "auto"], "the engine 'local' takes no address; leave --address out"),
    (
        ["run", "--plugins", "emigm", "--trial-timeout", "soon"],
        "'soon' is not a time; write for example 90s, 30m or 2h",
    ),
    (["run", "--plugins", "emigm", "--trial-timeout", "-3s"], "'-3s' is not a time"),
    (["run", "--plugins", "emigm", "--results", "study.toml"], "cannot write"),
    (["run", "--plugins", "emigm", "--results", "study.toml/deeper"], "cannot write"),
    (["plan", "--plugins", "emigm", "--name", "../outside"], "../outside"),
    (["list", "mask_scedule"], "no kind is called 'mask_scedule'; did you mean 'mask_schedule'?"),
    (["list", "--plugins", "nope"], "no plugin is called 'nope'"),
    (["show"], "results"),
    (["show", "nope"], "no study in results, no method and no component is called 'nope'"),
    (["show", "emgim"], "did you mean 'emigm'?"),
    (["diff", "emigm", "emgim"], "did you mean 'emigm'?"),
    (["report", "nowhere"], "nowhere"),
    (["show", "--results", "study.toml"], "study.toml"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_gets_a_sentence_and_exit_code_2(
    mgbench: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    answer = mgbench(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.startswith("mgbench: ")
    assert "Traceback" not in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"], "nothing half-written"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("run", "--plugins", "emigm", "--devices", "cuda")
    assert (answer.code, answer.err) == (
        2,
        "mgbench: cannot run on 'cuda': this machine has no CUDA device; take cpu\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["rnu"],
        ["run", "--plugin", "emigm"],
        ["run", "--devices-per-trial", "0"],
        ["run", "--batch", "0"],
        ["run", "--batch", "x"],
    ],
)
def test_a_command_or_option_that_does_not_exist_exits_with_2(mgbench: Command, arguments: list[str]) -> None:
    answer = mgbench(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_a_plugin_that_was_asked_for_and_is_broken_is_told(mgbench: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def broken(:\n")
    answer = mgbench("plan", "--plugins", "broken.py")
    assert answer.code == 2
    assert "plugin 'broken'" in answer.err
    assert "SyntaxError" in answer.err


def test_a_process_without_a_part_that_is_set_is_told(mgbench: Command) -> None:
    answer = mgbench("plan", "--plugins", doubles.FILE, "--methods", "gaussian", "--set", "sampler=random_order")
    assert answer.code == 2
    assert "nothing in this recipe asks for a sampler" in answer.err


def test_the_installed_command_says_the_same_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mgbench", "plan", "--plugins", "emgim"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr == "mgbench: no plugin is called 'emgim'; did you mean 'emigm'? (a path to a .py file works too)\n"
    )


def test_published_numbers_are_drawn_into_a_folder_of_their_name(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("published", "imagenet-384", "-o", "out")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "published numbers: out/imagenet-384/index.html\n"
    assert (tmp_path / "out" / "imagenet-384" / "imagenet-384.svg").is_file()


@pytest.mark.parametrize(
    "command", [("published", "imagenet-265"), ("report", "results", "--published", "imagenet-265")]
)
def test_unknown_published_numbers_are_refused_with_the_nearest(
    mgbench: Command, tmp_path: Path, command: tuple[str, ...]
) -> None:
    store(tmp_path / "results", record())
    answer = mgbench(*command)
    assert answer.code == 2
    assert "did you mean 'imagenet-256'?" in answer.err
    assert not (tmp_path / "reports").exists()
