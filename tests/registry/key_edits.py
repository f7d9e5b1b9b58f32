"""Edits of a copy of our code, and which keys of which methods each of them changes.

    python -m tests.registry.key_edits

prints the table of `docs/keys.md`.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import patch

from mgbench.recipes import definitions, fingerprint, modules, normal, stage_code
from mgbench.recipes.keys import Keys
from mgbench.registry.loading import find, installed, load
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble

ROOT = Path(__file__).parents[2]
HOMES = {"mgbench": ROOT / "mgbench", "mgbench_plugins": ROOT / "plugins"}
LETTERS = {"tokenizer": "T", "training": "M", "images": "I", "run": "S", "reconstruction": "R"}


@dataclass(frozen=True)
class Edit:
    """A change of one file of ours: text for text, or another place for it."""

    what: str
    file: str
    old: str = ""
    new: str = ""
    moved: str = ""

    def apply(self, root: Path) -> None:
        """Change the copy of our code under a folder."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        assert self.old in text, f"{self.what}: {self.file} no longer holds {self.old!r}; name another line of it"
        path.write_text(text.replace(self.old, self.new, 1), encoding="utf-8")
        if self.moved:
            path.rename(root / self.moved)
            here, there = (name.removesuffix(".py").replace("/", ".") for name in (self.file, self.moved))
            for other in root.rglob("*.py"):
                other.write_text(other.read_text(encoding="utf-8").replace(here, there), encoding="utf-8")


CLIP = "        self.optimizer.clip(self.recipe.clip)\n"
EDITS = (
    Edit("training loop", "mgbench/stages/train.py", CLIP),
    Edit("optimizer", "mgbench/stages/train.py", "betas=(0.9, 0.95)", "betas=(0.9, 0.999)"),
    Edit("EMA", "mgbench/stages/averages.py", "(10 + step)", "(2 + step)"),
    Edit("masking helper", "mgbench/components/schedules/maskings.py", ".clamp(1, tokens)", ".clamp(0, tokens)"),
    Edit("solver", "mgbench/components/heads/solvers.py", "LEAST_LOG_RATIO = -5.1", "LEAST_LOG_RATIO = -5.0"),
    Edit("metric arithmetic", "mgbench/components/metrics/frechet.py", "/ (self.count - 1)", "/ self.count"),
    Edit("image rounding", "mgbench/components/tokenizers/patches.py", "127.5).round()", "127.5).floor()"),
    Edit("a comment", "mgbench/components/samplers/plans.py", "\nfrom ", "\n# Why.\nfrom "),
    Edit(
        "an unused function",
        "mgbench/components/samplers/plans.py",
        "\n\n\ndef ",
        "\n\n\ndef more() -> int:\n    return 1\n\n\ndef ",
    ),
    Edit(
        "a file in another room",
        "mgbench/components/samplers/plans.py",
        moved="mgbench/components/schedules/plans.py",
    ),
    Edit("sampling loop", "mgbench/components/processes/masked.py", ".masked_fill_(unset, 0)"),
)


def forget() -> None:
    """Read the code again."""
    for module in (modules, normal, definitions, fingerprint, stage_code):
        for cached in list(vars(module).values()):
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Read our code under a folder; what is imported stays as it is."""

    def spec(name: str) -> ModuleSpec | None:
        path = root.joinpath(*name.split("."))
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return ModuleSpec(name, None, origin=str(file), is_package=file.stem == "__init__")
        return None

    forget()
    with patch.object(modules, "_spec", spec):
        yield
    forget()


@cache
def registry() -> Registry:
    """Our own components and all plugins of ours, announced by what is installed or not yet."""
    names = sorted(path.stem for path in HOMES["mgbench_plugins"].glob("*.py"))
    return load(
        [find(f"mgbench_plugins.{name}") for name in names if not name.startswith("_") and name not in installed()]
    )


def keys_of(edit: Edit | None = None) -> Mapping[str, Keys]:
    """The keys of every method of ours, with our code as it is or with an edit."""
    found = registry()
    plugins = sorted(set(found.recipes) & {path.stem for path in HOMES["mgbench_plugins"].glob("*.py")})
    # The same methods at other sizes.
    plugins = [name for name in plugins if not name.endswith("_imagenet")]
    with tempfile.TemporaryDirectory() as folder:
        for name, home in HOMES.items():
            shutil.copytree(home, Path(folder, name), ignore=lambda _, names: [n for n in names if _unread(n)])
        if edit is not None:
            edit.apply(Path(folder))
        with reading(Path(folder)):
            found.memory.clear()
            methods = {name: recipe for plugin in plugins for name, recipe in found.recipes[plugin].items()}
            made = {name: assemble(found, recipe).keys for name, recipe in methods.items()}
    found.memory.clear()
    return made


def _unread(name: str) -> bool:
    return ("." in name and not name.endswith(".py")) or name == "__pycache__"


def changed(before: Mapping[str, Keys], after: Mapping[str, Keys]) -> dict[str, str]:
    """The letters of the keys that differ, by method."""
    return {
        method: "".join(
            letter for name, letter in LETTERS.items() if getattr(keys, name) != getattr(after[method], name)
        )
        for method, keys in before.items()
    }


def table(rows: Callable[[], Mapping[str, Mapping[str, str]]] | None = None) -> str:
    """Methods by edits, in Markdown."""
    found = rows() if rows else all_changes()
    lines = ["| method | " + " | ".join(edit.what for edit in EDITS) + " |", "|---" * (len(EDITS) + 1) + "|"]
    methods = next(iter(found.values()))
    lines += [
        f"| `{method}` | " + " | ".join(found[edit.what][method] or "–" for edit in EDITS) + " |" for method in methods
    ]
    return "\n".join(lines)


@cache
def all_changes() -> Mapping[str, Mapping[str, str]]:
    """For every edit, the letters of the keys that it changes, by method."""
    before = keys_of()
    return {edit.what: changed(before, keys_of(edit)) for edit in EDITS}


if __name__ == "__main__":
    print(table())
