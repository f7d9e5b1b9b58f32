"""Terminals that lack characters, and readers that leave."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mgbench.cli.output.terminal import readable
from tests.report.synthetic import store, sweep

# Empty settings are none: whoever runs the tests may have chosen an encoding, as tox does.
PLAIN = {
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("terminal")
    store(found / "results", *sweep(seeds=(0,)))
    return found


@pytest.mark.parametrize(
    "arguments",
    [["list", "mask_schedule"], ["show"], ["results"], ["run", "--help"], ["show", "ü"], ["plan", "--dataset", "x"]],
    ids=" ".join,
)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_a_character_gets_words_for_it(folder: Path, arguments: list[str], encoding: str) -> None:
    settings = PLAIN if encoding == "ascii" else {**PLAIN, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-m", "mgbench", *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        timeout=120,
        check=False,
    )
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "Traceback" not in err
    assert done.returncode == (0 if not err else 2)
    assert out or err
    # No character is a question mark in a box, and no sign of tables or formulas is left as a number.
    assert not re.search(r"\\u(?!dc)[0-9a-f]{4}|\?{2}|\ufffd", out + err)


@pytest.mark.parametrize("arguments", [["list"], ["show"], ["results"], ["plugins"]], ids=" ".join)
def test_a_reader_that_leaves_ends_the_command_without_a_word(folder: Path, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mgbench", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) != 0


def test_what_a_terminal_would_obey_is_shown_as_its_number() -> None:
    assert readable("a\x1b[31mb\x07\u202e\n\t–") == "a\\x1b[31mb\\x07\\u202e\n\t–"


def test_commands_that_print_tables_print_json_without_numbers_that_are_none(folder: Path) -> None:
    for arguments in (["results"], ["show"], ["doctor", "results"]):
        done = subprocess.run(
            [sys.executable, "-m", "mgbench", *arguments, "--json"],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        refused = re.compile("NaN|Infinity")
        found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert found
        assert not refused.search(done.stdout)
        assert "Traceback" not in done.stderr
