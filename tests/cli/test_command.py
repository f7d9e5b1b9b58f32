"""Options: an unknown one is told with the nearest, a repeated one adds or is refused, and advice can be taken."""

import ast
import re
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import mgbench as mgbench_package
from mgbench.cli.app import app
from mgbench.cli.arguments.values import outline
from mgbench.cli.command import advised
from mgbench.errors import UserError
from mgbench.recipes.spec import Spec
from tests.cli.conftest import Command

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
NEAR = [
    (["rnu"], "there is no command 'rnu'; did you mean 'run'?"),
    (["plan", "--dataset", "digit"], "set it with --set dataset=digits, or vary it with --vary dataset=VALUE,…"),
    (["run", "--mask-schedule=epx(rate=3)"], "set it with --set mask_schedule=exp(rate=3)"),
    (["plan", "--labels"], "set it with --set labels=VALUE"),
    (["run", "--train-steps", "5"], "train_steps is a recipe field: set it with --set train_steps=5"),
    (["show", "--dataset", "digits"], "mgbench show has no option --dataset"),
    (["plan", "--name", "a", "--name", "b"], "--name is given 2 times but takes one value; keep one of them"),
    (["plan", "--results", "a", "--results", "b"], "--results is given 2 times"),
    (["plan", "--plugins", "emigm", "--set", "seed=1", "--set", "seed=2"], "write --vary seed=1,2"),
    (["plan", "--plugins", "emigm", "--set", "sampling_steps=4,8"], "write --vary sampling_steps=4,8"),
    (
        ["plan", "--plugins", "emigm", "--vary", "train_steps=all"],
        "train_steps is not a kind, so it cannot vary over all",
    ),
    (["run", "--plugins", "emigm", "--fail-fast", "--max-failures", "3"], "but --max-failures is 3; leave one out"),
    (["run", "--plugins", "emigm", "--max-failures", "0"], "--max-failures"),
    (["run"], "what shall be run? All "),
    (["run", "--set", "train_steps=5"], "--plugins all runs everything"),
]


@pytest.mark.parametrize(("arguments", "said"), NEAR, ids=[" ".join(arguments) for arguments, _ in NEAR])
def test_what_cannot_be_is_told_with_what_can(
    mgbench: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    answer = mgbench(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_is_suggested_for_a_typo_of_it(mgbench: Command, command: str) -> None:
    options = [name for param in COMMANDS[command].params for name in param.opts if name.startswith("--")]
    for option in options:
        typed = option[:-1] + "q"
        if len(option) > 5 and typed not in options:
            answer = mgbench(command, typed)
            assert answer.code == 2
            assert f"mgbench {command} has no option {typed}; did you mean" in answer.err


def test_repetition_adds() -> None:
    found = outline(
        None,
        ["emigm,maskgit", "mar", "emigm"],
        ["metrics=fid,kid", "metrics=[fid, kid]", "seed=3"],
        ["sampling_steps=4", "sampling_steps=8,4", "head=diffusion(width=8),categorical"],
        ["0", "1,2"],
        ["emigm", "mar"],
        "",
    )
    assert found.plugins == ("emigm", "maskgit", "mar")
    assert found.changes == {"metrics": ("fid", "kid"), "seed": 3}
    assert found.vary == {"sampling_steps": (4, 8), "head": (Spec.parse("diffusion(width=8)"), "categorical")}
    assert (found.seeds, found.methods) == ((0, 1, 2), ("emigm", "mar"))


def test_all_is_every_component_of_a_kind(mgbench: Command) -> None:
    answer = mgbench("plan", "--plugins", "maskgit", "--vary", "mask_schedule=all", "--set", "sampling_steps=2")
    for name in ("arccos", "cosine", "exp", "linear", "logexp"):
        assert re.search(rf"^ *maskgit +{name}\b", answer.out, re.MULTILINE), answer.out + answer.err
    assert "left out of mask_schedule=all: table needs" in answer.err


def test_advice_names_the_command_that_has_the_option() -> None:
    said = "these rows differ; leave some out with --where, or compare them with --allow-mismatch"
    assert advised(said, ["report", "results"], COMMANDS) == said
    assert "--where is an option of mgbench report" in advised(said, ["status"], COMMANDS)
    assert advised("see 'mgbench results --remove'", ["status"], COMMANDS) == "see 'mgbench results --remove'"


def test_no_text_of_the_package_names_an_option_that_no_command_has() -> None:
    """What another command has is said by `advised`; what none has could never be taken."""
    params = [param for command in COMMANDS.values() for param in command.params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    # Of the shell's completion, of help, and of other programs that are started or advised.
    known |= {
        "--help",
        "--version",
        "--install-completion",
        "--show-completion",
        "--logdir",
        "--backend-store-uri",
        "--head",
    }
    for path in sorted(Path(mgbench_package.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w-])", node.value))
                assert named <= known, f"{path}, line {node.lineno}: {named - known}"


def test_values_with_slashes_and_blanks_need_no_quotes(
    mgbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("--costs", "--methods", "emigm", "--set", "sampling_steps=1", "--assume", "images=64,classes=2,side=8")
    answer = mgbench(
        "plan", "--plugins", "emigm", "--set", f"dataset=image_folder(path={tmp_path}/my photos-1.0)", *small
    )
    assert answer.code == 0
    assert f"{tmp_path}/my photos-1.0" in answer.err
    assert "cannot read" not in answer.err
    assert sys.argv[0] == "mgbench"


@pytest.mark.parametrize("name", ["a\x1b[31mb", "", " ", "a\nb"])
def test_a_method_cannot_be_called_what_a_terminal_would_obey(name: str) -> None:
    from mgbench.recipes.study import Outline

    with pytest.raises(UserError, match="a method cannot be called"):
        Outline(own={name: {"train_steps": 3}}).study({})
