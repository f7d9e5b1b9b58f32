"""Every block of README and docs does what it says: commands run or are planned, Python runs, study files are read."""

import re
import shutil
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from mgbench.cli import main
from mgbench.cli.app import app
from mgbench.recipes.study import read_study
from mgbench.trials.real_features import reference_of
from tests.docs.blocks import ROOT, Block, blocks, commands
from tests.docs.world import STORED, fail, made, pretend

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "mgbench" / "AGENTS.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LANGUAGES = {"sh", "python", "toml", "text", "bibtex", ""}
# Keys of a study file; other TOML is of other tools.
STUDY = {"name", "plugins", "methods", "seeds", "set", "vary", "recipes", "claims"}
# Stored before a page begins; pages that mean any study say NAME.
STUDY_OF_ALL = "emigm-maskgit"
# What needs no second look: it draws the same figures wherever it stands.
ONCE = {"published", "tune"}
# Paths of the machine of whoever reads lie in the page's folder here.
_ABSOLUTE = re.compile(r"(?<![\w./])(?=/(?:data|shared|weights)/)")
# How far a command gets that needs published weights, published images or GPUs, which are not here.
ABSENT = (
    "the weights of inception are not at",
    "there is no file mobilenet_v2.pt",
    "give the folder with the files of FashionMNIST",
    "this machine has no CUDA device",
)
# What is added to commands that would be slow, or that suppose published sizes.
ADDED = {"tune": ("--dry-run",), "report": ("--pictures", "fid-versus-nfe"), "import": ("--set", "network.heads=4")}


@dataclass
class Reader:
    """Follows a page, block by block, in its own folder."""

    out: Callable[[], str]
    names: dict[str, Any] = field(default_factory=dict)
    said: str = ""

    def follow(self, block: Block) -> None:
        assert block.language in LANGUAGES, f"no test knows what to do with a block of {block.language!r}"
        getattr(self, f"_{block.language or 'plain'}")(block)

    def _sh(self, block: Block) -> None:
        said = []
        for words in commands(block):
            name = Path(words[0]).name or words[0]
            assert name in TOOLS, f"no test knows the command {name!r}"
            before = len(REFUSED)
            TOOLS[name](words[1:])
            said.append(self.out())
            if any(reason in said[-1] for reason in ABSENT):
                del REFUSED[before:]
        self.said = " ".join(" ".join(said).split())

    def _python(self, block: Block) -> None:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        exec(compile(block.text, block.title or "block", "exec"), self.names)

    def _toml(self, block: Block) -> None:
        content = tomllib.loads(block.text)
        if content.keys() <= STUDY:
            path = Path(block.title or "block.toml")
            path.write_text(block.text, encoding="utf-8")
            assert read_study(path)

    def _text(self, block: Block) -> None:
        if block.follows:
            pieces = " ".join(block.text.split()).split("…")
            assert re.search(".*".join(map(re.escape, pieces)), self.said), self.said

    def _bibtex(self, block: Block) -> None:
        assert block.text.startswith("@")

    def _plain(self, block: Block) -> None:
        """A drawing or a listing."""


def mgbench(words: list[str]) -> None:
    """Run a command in this process, and note where it ends with another code than 0."""
    words = [STUDY_OF_ALL if word == "NAME" else word for word in words]
    command = next((word for word in words if not word.startswith("-")), "")
    group: Any = typer.main.get_command(app)
    if command in READ_ONLY:
        READ_ONLY[command](group.commands[command].make_context(command, words[1:]).params)
        return
    sys.argv = ["mgbench", *(_ABSOLUTE.sub(str(Path.cwd()), word) for word in words), *(ADDED.get(command, ()))]
    if command in ONCE and tuple(words) in FOLLOWED:
        return
    FOLLOWED.add(tuple(words))
    with pytest.raises(SystemExit) as end:
        main()
    code = int(end.value.code or 0)
    if code and not (command == "compare" and code == 1):  # a limit that made-up numbers may pass
        REFUSED.append(words)


REFUSED: list[list[str]] = []
FOLLOWED: set[tuple[str, ...]] = set()


def drawn(params: dict[str, Any]) -> None:
    """What `sample` writes, of noise: no model is trained here."""
    pixels = np.random.default_rng(0).integers(0, 256, (params["count"], 1, 8, 8), np.uint8)
    if params["output"].suffix == ".npz":
        np.savez(params["output"], images=pixels, labels=np.arange(params["count"]) % 10)


# Commands that would take long here, whose words are read and whose files are made up.
READ_ONLY: dict[str, Callable[[dict[str, Any]], Any]] = {"sample": drawn, "speed": lambda params: None}


def sbatch(words: list[str]) -> None:
    assert (ROOT / words[0]).is_file()
    mgbench(["run", *words[1:]])


def pip(words: list[str]) -> None:
    """Extras that are asked for exist."""
    known = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    asked = {extra for word in words for found in re.findall(r"\[([\w,-]+)\]", word) for extra in found.split(",")}
    assert asked <= known


def tox(words: list[str]) -> None:
    config = (ROOT / "tox.ini").read_text(encoding="utf-8")
    asked = words[words.index("-e") + 1].split(",")
    assert all(name == "py" or f"[testenv:{name}]" in config for name in asked)


def python(words: list[str]) -> None:
    """A script of ours exists, and knows the options it is given."""
    if words[:2] == ["-m", "venv"]:
        return
    path = ROOT / (f"{words[1].replace('.', '/')}" if words[0] == "-m" else words[0])
    path = next(at for at in (path, path.with_suffix(".py"), path / "__main__.py") if at.is_file())
    text = path.read_text(encoding="utf-8")
    missing = [word for word in words if word.startswith("--") and f'"{word}"' not in text]
    assert not missing


def nothing(words: list[str]) -> None:
    """A command of others."""


TOOLS: dict[str, Callable[[list[str]], Any]] = {
    "mgbench": mgbench,
    "sbatch": sbatch,
    "pip": pip,
    "tox": tox,
    "python": python,
    "python3": python,
    **dict.fromkeys((".", "pytest", "mkdocs"), nothing),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What every page begins with, and commands that run in this process."""
    folder = made(tmp_path_factory.mktemp("world"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [])
        patch.setenv("COLUMNS", "250")
        patch.setenv("NO_COLOR", "1")
        pretend(patch)
        for line in STORED:
            mgbench(["run", *line.split(), "--quiet"])
        assert not REFUSED
        fail(folder / "results", "psi")
        shutil.make_archive("theirs", "gztar", folder, "theirs")
        yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def reader(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reader:
    folder = tmp_path / "page"
    shutil.copytree(world, folder)
    monkeypatch.chdir(folder)
    # It is kept by the name of the results folder, which is the same on every page.
    reference_of.cache_clear()
    return Reader(lambda: " ".join(capsys.readouterr()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_does_what_it_says(reader: Reader, page: Path) -> None:
    found = blocks(page)
    for block, after in zip(found, [*found[1:], Block("", "", "", 0, False)][: len(found)], strict=True):
        REFUSED.clear()
        reader.follow(block)
        answered = after.language == "text" and after.follows
        assert answered or not REFUSED, f"{page.name}:{block.line}: {REFUSED[0]} is refused: {reader.said[-400:]}"
