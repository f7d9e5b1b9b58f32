"""The notes for scripts and coding agents come with the package, and all that they name is there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

import mgbench as package
from mgbench.cli.app import app
from tests.cli.conftest import Command

TEXT = (Path(package.__file__).parent / "AGENTS.md").read_text(encoding="utf-8")
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
BLOCKS = "\n".join(re.findall(r"^ *```sh\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE))
LINES = [line.partition("  #")[0].strip() for line in BLOCKS.splitlines() if line.strip()]
LINES += [" ".join(text.split()) for text in re.findall(r"`(mgbench [^`]+)`", TEXT)]


def options(command: str) -> set[str]:
    return {"--help", *(name for param in COMMANDS[command].params for name in (*param.opts, *param.secondary_opts))}


def test_it_is_printed(mgbench: Command) -> None:
    answer = mgbench("guide")
    assert (answer.code, answer.out) == (0, TEXT)


@pytest.mark.parametrize("line", LINES)
def test_every_command_and_option_in_it_exists(line: str) -> None:
    name, command, *words = shlex.split(line)
    assert name == "mgbench"
    assert command in COMMANDS
    assert {word for word in words if word.startswith("-")} <= options(command)


def test_every_other_option_in_it_is_one_of_a_command() -> None:
    known = set().union(*map(options, COMMANDS))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= known


def test_what_python_imports_is_there() -> None:
    (names,) = re.findall(r"from mgbench import ([\w, ]+)", TEXT)
    assert set(names.split(", ")) <= set(package.__all__)
