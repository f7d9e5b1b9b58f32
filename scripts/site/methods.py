"""A page for each plugin, which is a paper: what it says, the methods and components it brings, and its file."""

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache

from mgbench.cli.output.describe import registry_kinds
from mgbench.interfaces import bibtex
from mgbench.recipes.recipe import FIELDS, Recipe, plain
from scripts.site.kinds import anchored, registry
from scripts.site.text import code, first_sentence, folded, paper, rest, table

REFERENCE_METHOD = "emigm"


@cache
def papers_of() -> dict[str, tuple[str, ...]]:
    """The bundled plugins in `plugins/`, with the papers that their docstrings name."""
    found = registry()
    ours = [name for name, at in found.sources.items() if at.target.startswith("mgbench_plugins")]
    return {name: tuple(bibtex.papers(found.docstrings[name])) for name in ours}


def pages() -> dict[str, str]:
    """The pages by their paths in the site, the table of all first."""
    made = {"methods/index.md": _index()}
    return made | {f"methods/{name}.md": "\n".join(_page(name)) for name in sorted(papers_of(), key=_place)}


def _place(name: str) -> tuple[bool, bool, str]:
    return name not in registry().recipes or not registry().recipes[name], name != REFERENCE_METHOD, name


def _index() -> str:
    methods = [name for name in sorted(papers_of(), key=_place) if registry().recipes.get(name)]
    others = [name for name in sorted(papers_of(), key=_place) if name not in methods]
    return (
        "# The methods\n\nOne paper is one plugin, and each has recipes that run by their names: "
        "`mgbench run --plugins emigm,maskgit`.\n\n"
        + table(("plugin", "", "methods"), [_row(name) for name in methods])
        + "\n## Other plugins that come along\n\nThey bring metrics and trackers, and no method.\n\n"
        + table(("plugin", ""), [_row(name)[:2] for name in others])
    )


def _title(text: str) -> str:
    """The first sentence of a docstring without the papers in its parentheses."""
    return re.sub(
        r" \([^()]*\d{4}\.\d{4,5}[^()]*\)", "", " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
    ).rstrip(".")


def _row(name: str) -> tuple[str, str, str]:
    recipes = registry().recipes.get(name, {})
    links = ", ".join(f"[`{method}`]({name}.md#{method})" for method in recipes)
    return f"[`{name}`]({name}.md)", first_sentence(registry().docstrings[name]), links


def _page(name: str) -> Iterator[str]:
    text = registry().docstrings[name]
    yield f"---\ntitle: {name}\n---\n\n# {_title(text)}\n"
    yield rest(text) + "\n"
    yield from _papers(name)
    recipes = registry().recipes.get(name, {})
    if recipes:
        yield f"```sh\nmgbench run --plugins {name}\n```\n\n## Methods\n"
    first = next(iter(recipes), "")
    for method in recipes:
        yield from _method(method, REFERENCE_METHOD if method == first else first)
    brought = sorted(_components(name))
    if brought:
        rows = [(f"`{kind}`", f"[`{part}`](../kinds/{anchored(kind, part)})", about) for kind, part, about in brought]
        yield "## Components\n\nEvery other method can have them too.\n\n" + table(("kind", "component", ""), rows)
    module = importlib.import_module(f"mgbench_plugins.{name}")
    yield f"## The file\n\n`plugins/{name}.py` is the whole plugin.\n"
    yield folded("Source", f"```python\n{inspect.getsource(module).rstrip()}\n```")


def _papers(name: str) -> Iterator[str]:
    entries = [entry for offered in registry().references.values() for entry in offered.values()]
    cited = [entry for number in papers_of()[name] for entry in entries if bibtex.field(entry, "eprint") == number]
    if cited:
        yield "\n".join(f"- {paper(entry)}" for entry in cited) + "\n"
        yield folded("BibTeX", "```bibtex\n" + "\n\n".join(cited) + "\n```")


def _method(name: str, other: str) -> Iterator[str]:
    """What a recipe sets; of a second method of a plugin, what it has otherwise than the first."""
    recipe, beside = recipe_of(name), recipe_of(other)
    yield f"### `{name}` {{#{name}}}\n"
    if other in (name, REFERENCE_METHOD):
        fields = [field for field in FIELDS if getattr(recipe, field) != FIELDS[field].default]
        yield f"Set by the recipe{'' if name == other else f', and what `{other}` has there'}:\n"
    else:
        fields = [field for field in FIELDS if getattr(recipe, field) != getattr(beside, field)]
        yield f"As `{other}`, but for:\n"
    rows = [(_field(field), _shown(recipe, field), _shown(beside, field)) for field in fields]
    width = 2 if name == other else 3
    yield table(("field", f"`{name}`", f"`{other}`")[:width], [row[:width] for row in rows])


def recipe_of(method: str) -> Recipe:
    """The recipe of a method that comes along."""
    return next(recipes[method] for recipes in registry().recipes.values() if method in recipes)


def _field(name: str) -> str:
    kinds = registry_kinds()
    return f"[`{name}`](../kinds/{name}.md)" if name in kinds else f"`{name}`"


def _shown(recipe: Recipe, name: str) -> str:
    value = plain(getattr(recipe, name))
    told = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
    return code(str(told).lower() if isinstance(told, bool) else told) if told not in (None, "") else "–"


def _components(name: str) -> Iterator[tuple[str, str, str]]:
    for kind in registry_kinds():
        for part, offer in registry().names(kind).items():
            if offer.plugin == name:
                yield kind, part, first_sentence(offer.maker.__doc__ or "")
