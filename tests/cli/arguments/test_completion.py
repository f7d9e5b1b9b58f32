"""Shells complete plugins, methods, studies, components and values of fields, by their own protocol and without torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_light import HEAVY
from tests.report.synthetic import record, store, store_study

SCRIPT = """
import sys
sys.argv = ["mgbench"]
from mgbench.cli import main
try:
    main()
finally:
    print("LOADED", *(name for name in {heavy!r} if name in sys.modules))
"""


def completed(folder: Path, *words: str, shell: str = "bash") -> list[str]:
    """What a shell is told when the cursor is behind the last of these words."""
    environment = {**os.environ, "_MGBENCH_COMPLETE": f"complete_{shell}", "COLUMNS": "200"}
    if shell == "bash":
        environment |= {"COMP_WORDS": "\n".join(["mgbench", *words]), "COMP_CWORD": str(len(words))}
    else:
        environment["_TYPER_COMPLETE_ARGS"] = " ".join(["mgbench", *words])
    script = SCRIPT.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    text, _, heavy = done.stdout.rpartition("LOADED")
    assert (heavy.split(), done.stderr) == ([], "")
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("run", "--plugins", "hal"), ["halton"]),
        (("run", "--plugins", "emigm,maskg"), ["emigm,maskgit"]),
        (("run", "--methods", "maskgit-"), ["maskgit-unlabelled"]),
        (("run", "--track", "tens"), ["tensorboard"]),
        (("list", "mask_"), ["mask_schedule"]),
        (("new-plugin", "mine", "--kind", "samp"), ["sampling_schedule", "sampler"]),
        (("show", "halt"), ["halton"]),
        (("evaluate", "x.npz", "--reference", "digi"), ["digits"]),
        (("evaluate", "x.npz", "--metrics", "fid,ki"), ["fid,kid"]),
        (("run", "--set", "sampling_st"), ["sampling_steps="]),
        (("run", "--set", "lr_d"), ["lr_decay=constant", "lr_decay=cosine"]),
        # bash takes the sign for a word of its own, and replaces only what is behind it.
        (("run", "--set", "sampler", "=", "halt"), ["halton"]),
        (("run", "--set", "lr_decay", "="), ["constant", "cosine"]),
        (("run", "--vary", "sampler", "=", "halton,low"), ["halton,low_confidence"]),
        (("run", "--set", "labels", "=", "f"), ["false"]),
        (("run", "--set", "masking.trunc"), ["masking.truncation="]),
        (("run", "--set", "'masking=exact(trunc"), ["masking=exact(truncation="]),
        (("run", "--set", "'masking=exact(t_min=0.1, truncation=c"), ["masking=exact(t_min=0.1, truncation=clamp"]),
    ],
)
def test_bash_is_told_what_fits(tmp_path: Path, words: tuple[str, ...], found: list[str]) -> None:
    assert completed(tmp_path, *words) == found


def test_studies_are_those_of_the_results_folder_that_is_named(tmp_path: Path) -> None:
    row = record()
    for folder, name in (("results", "here"), ("elsewhere", "there")):
        store(tmp_path / folder, row)
        store_study(tmp_path / folder, name, [(row.key, row.method)])
    assert completed(tmp_path, "cite", "he") == ["here"]
    assert completed(tmp_path, "cite", "--results", "elsewhere", "the") == ["there"]


def test_zsh_is_told_whole_words_with_what_they_are(tmp_path: Path) -> None:
    said = " ".join(completed(tmp_path, "run", "--set", "sampler=halt", shell="zsh"))
    assert '"sampler=halton":"sampler of halton"' in said


def test_the_script_for_bash_completes_in_bash(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "mgbench"
    # Not replaced by Python: typer looks for the shell among the processes above it.
    command.write_text(f'#!/usr/bin/env bash\n"{sys.executable}" -m mgbench "$@"\n')
    command.chmod(0o755)
    script = subprocess.run(
        [command, "--show-completion", "bash"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    function = next(line.partition("()")[0] for line in script.splitlines() if line.endswith("() {"))
    line = f'COMP_WORDS=(mgbench run --set sampler = halt); COMP_CWORD=5; {function} mgbench; echo "${{COMPREPLY[@]}}"'
    path = f"{command.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{line}"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["halton"]
