"""Run a study, kill it at random moments and damage what it left, until it is done; and what must be the same in the end."""

import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from mgbench.results.record import load_record
from tests import doubles

# Two kinds of model, a tokenizer that is fitted, several seeds: some twelve rows in a minute on two cores.
STUDY = (
    *("--plugins", doubles.FILE, "--methods", "tiny,gaussian", "--seeds", "0,1", "--vary", "sampling_steps=1,2"),
    *("--set", "train_steps=60", "--vary", "tokenizer=patch(size=4),counted"),
)
# What is a time, or tells of one, and so is never the same twice.
TIMES = ("seconds", "images_per_second", "bytes", "utilisation")


@dataclass
class Chaos:
    """A results folder, and what happens to it; all of it is decided by the seed."""

    folder: Path
    seed: int = 0
    study: tuple[str, ...] = STUDY
    devices: str = "cpu:2"
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    @property
    def results(self) -> Path:
        """Where the study keeps its results."""
        return self.folder / "results"

    def finish(self) -> int:
        """Run the study to its end; the exit code."""
        with self._start() as process:
            for _ in _events(process):
                pass
        return process.returncode

    def kill(self, events: int) -> str:
        """Run the study and kill it some time after one of its first events; what was killed, or nothing if it ended before."""
        after, pause = self.chance.randint(0, events), self.chance.uniform(0, 0.7)
        whole = self.chance.random() < 0.5
        with self._start() as process:
            count = 0
            for _ in _events(process) if after else ():
                count += 1
                if count == after:
                    break
            time.sleep(pause)
            killed = _kill(process, whole)
            return f"{killed} after {count} events and {pause:.2f} s" if killed else ""

    def damage(self) -> str:
        """Cut a random file short or flip a bit in it; which."""
        files = [path for path in sorted(self.results.rglob("*")) if path.is_file() and path.stat().st_size]
        kept = [path for path in files if path.parts[len(self.results.parts)] not in ("logs", "locks", "status")]
        if not kept:
            return "nothing to damage yet"
        path = self.chance.choice(kept)
        content = bytearray(path.read_bytes())
        place = self.chance.randrange(len(content))
        if self.chance.random() < 0.5:
            path.write_bytes(content[:place])
            return f"{path.relative_to(self.results)} cut at byte {place}"
        content[place] ^= 1 << self.chance.randrange(8)
        path.write_bytes(content)
        return f"{path.relative_to(self.results)} with a bit flipped in byte {place}"

    def done(self) -> dict[str, tuple[int, int]]:
        """Which rows are done, and which file says so: one that is made again is another."""
        found = {}
        for path in self.results.glob("runs/*/record.json"):
            if load_record(path).status == "done":
                found[path.parent.name] = path.stat().st_ino, path.stat().st_mtime_ns
        return found

    def table(self) -> dict[str, str]:
        """Every row of the study and every model, as text without times: what has to be the same, byte for byte."""
        rows = {path.parent.name: _plain(path) for path in self.results.glob("runs/*/record.json")}
        models = {path.parent.name: _hash(path) for path in self.results.glob("*/*/*.safetensors")}
        return {**rows, **models}

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "mgbench", "run", *self.study, "--devices", self.devices, "--json"]
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=(self.folder / "errors.log").open("a"),
            text=True,
            start_new_session=True,
        )


def _events(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout
    for line in process.stdout:
        yield json.loads(line)


def _kill(process: "subprocess.Popen[str]", whole: bool) -> str:
    """Kill the run with all its trials, or only the run, so that its trials find themselves alone."""
    if process.poll() is not None:
        return ""
    # Its trials are processes of groups of their own.
    trials = psutil.Process(process.pid).children(recursive=True) if whole else []
    process.kill()
    for trial in trials:
        with contextlib.suppress(psutil.Error):
            trial.kill()
    process.wait()
    return "all of it" if whole else "the run without its trials"


def left_behind(chaos: Chaos) -> list[psutil.Process]:
    """Processes that still work in the folder of a study."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(chaos.folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _plain(path: Path) -> str:
    record = load_record(path)
    content = {name: value for name, value in vars(record).items() if name not in ("origin", "files")}
    content["costs"] = {name: cost for name, cost in record.costs.items() if not any(time in name for time in TIMES)}
    files = {name: _hash(path.with_name(name)) for name in sorted(record.files)}
    return json.dumps({**content, "files": files}, sort_keys=True)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
