"""Write docs/reference.md: every setting of a recipe, study files, and every component with its options, from the code.

python scripts/reference.py            # writes docs/reference.md, docs/study.schema.json and the tables of kinds
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from mgbench.cli.output.describe import in_words, options, registry_kinds
from mgbench.recipes.kinds import EVERY_KIND, KINDS, TABLE, Kind
from mgbench.recipes.recipe import FIELDS, Recipe, decides, plain
from mgbench.recipes.schema import study_schema
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HEAD = """# Reference

Written by `python scripts/reference.py` from the code, and compared with it by a test. `mgbench show NAME` prints the same of
one component or method.

## A study file

```toml
# yaml-language-server and taplo read the schema: docs/study.schema.json
name = "mine"                        # of the study and its report; the file's name, unless given
plugins = ["emigm", "my_method.py"]  # whose methods to run: installed plugins, files, modules
methods = ["emigm"]                  # only these of their methods
seeds = [0, 1, 2]                    # everything once for each seed; each trains anew
sample_seeds = [0, 1]                # every trained model sampled once for each: what its scores vary by, given the model

[set]                                # fields of every recipe
train_steps = 2000
metrics = ["fid", "prdc(k=3)"]

[vary]                               # every combination of these values
mask_schedule = ["cosine", "exp(rate=3)"]
sampling_steps = [4, 16]

[recipes.emigm-deep]                 # a method of one's own: another one with fields changed
base = "emigm"                       # left out: the defaults below
network = "mae(depth=4)"

[[claims]]                           # what the rows are expected to show, fixed before they are computed
name = "depth"                       # a word that no other claim has
says = "A deeper network gives a lower FID."
source = "beyond the paper"          # where it is claimed
better = "method=emigm-deep"         # which rows shall score better, in the language of --where
than = "method=emigm"                # than which
at = ["sampling_steps=4", "sampling_steps=16"]  # a verdict for each; left out: one on all rows
metric = "fid"                       # left out: the first score
margin = 0.05                        # at most this share worse; left out: better
costs = ["nfe", "train_seconds"]     # whose ratio is shown beside
```

Options of the command line are joined to the file: `--set` and `--vary` win over it field by field, and `--plugins`,
`--methods`, `--seeds`, `--sample-seeds` and `--name` in whole. A value is a number, `true` or `false`, a word, a list, or a
component with options, `exp(rate=3)`. Text with commas, brackets or quotation marks stands in quotation marks; a path needs none:
`image_folder(path=/data/my photos)`.

Claims decide no row and no key. [Reports](guides/reports.md#claims) says how they are judged.
"""


_TAKES = {"metrics": "a list of metrics", "teacher": "a method"}


def settings() -> Iterator[str]:
    """The fields of a recipe: those that name a component, then the others."""
    types = get_type_hints(Recipe, include_extras=True)
    yield "## What a recipe sets\n\nWhat a field decides first is computed anew when it changes, and all that comes after it.\n"
    yield "| field | takes | default | decides | |\n|---|---|---|---|---|"
    for name, item in FIELDS.items():
        if name in KINDS:
            kind = KINDS[name]
            usual = f"`{kind.default}`" if kind.default else "as another component says"
            yield f"| `{name}` | a component | {usual} | {decides(name)} | {kind.question} |"
        else:
            takes = _TAKES.get(name) or in_words(TypeAdapter(types[name]).json_schema())
            about = item.metadata["about"]
            yield f"| `{name}` | {takes} | `{_value(plain(item.default))}` | {decides(name)} | {about} |"


def components(registry: Registry) -> Iterator[str]:
    """Every component of every kind: what it is, who offers it, and its options."""
    yield "## Components\n"
    for kind in registry_kinds():
        yield f"### `{kind}`: {EVERY_KIND[kind].question}\n"
        for name, offer in sorted(registry.names(kind).items()):
            yield f"- **`{name}`** ({offer.plugin}): {_first_paragraph(offer.maker)}"
            yield from (
                f"    - `{option['name']}`: {in_words(option['type'])}{_default(option)}"
                for option in options(offer.maker)
            )
        yield ""


def methods(registry: Registry) -> Iterator[str]:
    """Every method, and what its recipe sets."""
    yield "## Methods\n\nWhat their recipes set; `mgbench diff emigm maskgit` puts two beside each other.\n"
    for plugin, recipes in sorted(registry.recipes.items()):
        for name, recipe in recipes.items():
            changed = {
                field: plain(getattr(recipe, field))
                for field in FIELDS
                if getattr(recipe, field) != FIELDS[field].default
            }
            told = ", ".join(f"`{field}={_value(value)}`" for field, value in changed.items())
            yield f"- **`{name}`** ({plugin}): {told or 'the defaults'}"


def _first_paragraph(maker: type) -> str:
    text = inspect.cleandoc(maker.__doc__ or "").split("\n\n")[0]
    return re.sub(r"([|*<>])", r"\\\1", " ".join(text.split()))


def _default(option: dict[str, Any]) -> str:
    return f"; default `{_value(option['default'])}`" if "default" in option else "; needed"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def ours() -> Registry:
    """What comes with mgbench, whatever else is installed."""
    registry = load()
    strange = {name for name, source in registry.sources.items() if not source.target.startswith("mgbench")}
    for hook, offers in registry.offers.items():
        registry.offers[hook] = {name: offer for name, offer in offers.items() if offer.plugin not in strange}
    registry.recipes = {plugin: recipes for plugin, recipes in registry.recipes.items() if plugin not in strange}
    return registry


def reference() -> str:
    """The page."""
    registry = ours()
    parts = (HEAD, "\n".join(settings()) + "\n", "\n".join(components(registry)), "\n".join(methods(registry)) + "\n")
    return "\n".join(parts)


def schema() -> str:
    """The JSON Schema of study files."""
    registry = ours()
    names = {kind: sorted(registry.names(kind)) for kind in registry_kinds()}
    return json.dumps(study_schema(names), indent=1, ensure_ascii=False) + "\n"


# The cells of a row; None is one that is written by hand, and `usual` fills it in a new row.
Cells = Sequence[str | None]


def _readme(kind: Kind) -> Cells:
    return (f"`{kind.name}`", kind.question, None)


def _design(kind: Kind) -> Cells:
    return (f"`{kind.name}`", kind.question, None, kind.decides)


def _plugins(kind: Kind) -> Cells:
    return (f"`{kind.hook}()`", f"`{kind.protocol}`", kind.question)


PAGES: dict[str, Callable[[Kind], Cells]] = {
    "README.md": _readme,
    "docs/design.md": _design,
    "docs/guides/plugins.md": _plugins,
}


def kinds(page: str) -> str:
    """A page with a row for each kind: those that are missing are added, and in the others stands what the code says."""
    lines = (ROOT / page).read_text(encoding="utf-8").split("\n")
    at = -1
    for kind in (kind for kind in TABLE if not kind.offered_as):
        cells = PAGES[page](kind)
        found = next((place for place, line in enumerate(lines) if line.startswith(f"| {cells[0]} |")), None)
        if found is None:
            usual = ", ".join(f"`{component}`" for component in ours().names(kind.name))
            lines.insert(at + 1, _row(cells, [usual] * len(cells)))
            at += 1
        else:
            at = found
            lines[at] = _row(cells, [cell.strip() for cell in lines[at].strip("|").split(" | ")])
    return "\n".join(lines)


def _row(cells: Cells, by_hand: Sequence[str]) -> str:
    return f"| {' | '.join(cell or own for cell, own in zip(cells, by_hand, strict=True))} |"


STUB = ROOT / "mgbench" / "__init__.pyi"


def stub() -> str:
    """The names of the package with the protocol of every kind among them."""
    lines = STUB.read_text(encoding="utf-8").split("\n")
    for kind in TABLE:
        home = "mgbench.interfaces.engine" if kind.decides == "nothing" else "mgbench.interfaces.components"
        line = f"from {home} import {kind.protocol} as {kind.protocol}"
        if line not in lines:
            lines.insert(0, line)
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "reference.md").write_text(reference(), encoding="utf-8")
    (DOCS / "study.schema.json").write_text(schema(), encoding="utf-8")
    for name in PAGES:
        (ROOT / name).write_text(kinds(name), encoding="utf-8")
    STUB.write_text(stub(), encoding="utf-8")
