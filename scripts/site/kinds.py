"""A page for each kind: its question, its components with their options and curves, its protocol and its hook."""

from collections.abc import Iterator
from functools import cache

from mgbench.cli.output.describe import component, in_words, registry_kinds
from mgbench.recipes.kinds import EVERY_KIND, Kind
from mgbench.registry.registry import Offer, Registry
from scripts.reference import ours
from scripts.site import curves
from scripts.site.text import code, first_sentence, prose, rest, source, table

# Pages that say more about a kind.
MORE = {
    "sampler": "[The samplers](../guides/samplers.md) compares them, with their distributions.",
    "reuse": "[Few steps](../guides/few_steps.md) says what each saves.",
    "solver": "[The samplers](../guides/samplers.md#fewer-evaluations-of-the-head) explains how to anneal one.",
    "metric": "[Metrics and protocols](../guides/metrics.md) explains each of them.",
    "extractor": "[Metrics and protocols](../guides/metrics.md#extractors) says which to choose.",
    "engine": "[Clusters](../guides/clusters.md) explains how to use them.",
    "dataset": "[Your own images](../tutorials/own_images.md) go through `image_folder`.",
    "process": "[Few steps](../guides/few_steps.md) is about those that need few.",
}
TEACHES = {
    "mask_schedule": "../tutorials/first_plugin.md",
    "sampler": "../guides/plugins.md#a-sampler-a-data-set-and-a-metric",
    "dataset": "../guides/plugins.md#a-sampler-a-data-set-and-a-metric",
    "metric": "../guides/plugins.md#a-sampler-a-data-set-and-a-metric",
}


@cache
def registry() -> Registry:
    """What comes with mgbench."""
    return ours()


def pages() -> dict[str, str]:
    """The pages of all kinds by their paths in the site, the table of all first."""
    made = {"kinds/index.md": _index()}
    return made | {f"kinds/{kind}.md": "\n".join(_page(EVERY_KIND[kind])) for kind in registry_kinds()}


def anchored(kind: str, name: str) -> str:
    """The address of a component within the folder of kinds."""
    return f"{kind}.md#{name}"


def _index() -> str:
    rows = [
        (f"[`{kind}`]({kind}.md)", EVERY_KIND[kind].question, _names(kind), EVERY_KIND[kind].decides)
        for kind in registry_kinds()
    ]
    head = ("kind", "question", "components", "decides first")
    return (
        "# The kinds\n\nEvery design choice is a *kind*, a question that one component of a recipe answers. Those of one kind "
        "can be exchanged for each other: `--set KIND=NAME` sets one, `--vary KIND=NAME,NAME` compares several, and "
        "`--vary KIND=all` all of them.\n\n"
        + table(head, rows)
        + "\nThe last column says what a change of the component "
        "computes anew: the tokenizer, the model, the images, or only their scores. A component of one's own is "
        "[a plugin](../tutorials/first_plugin.md).\n"
    )


def _names(kind: str) -> str:
    return ", ".join(f"[`{name}`]({anchored(kind, name)})" for name in sorted(registry().names(kind)))


def _page(kind: Kind) -> Iterator[str]:
    offers = sorted(registry().names(kind.name).items())
    yield f"---\ntitle: {kind.name}\n---\n"
    yield f"# `{kind.name}`: {kind.question}\n"
    yield " ".join(filter(None, (_role(kind), MORE.get(kind.name)))) + "\n"
    rows = [
        (f"[`{name}`](#{name})", first_sentence(offer.maker.__doc__ or ""), plugin(offer.plugin))
        for name, offer in offers
    ]
    yield table(("component", "", "from"), rows)
    for name, offer in offers:
        yield from _component(kind, name, offer)
    yield from _own(kind)


def _role(kind: Kind) -> str:
    usual = f"The default is `{kind.default}`." if kind.default else ""
    if not kind.in_recipe:
        return {"metric": "A recipe lists several: `--set metrics=fid,kid`.", "engine": "`mgbench run --engine NAME`."}[
            kind.name
        ]
    reach = "only the scores" if kind.decides == "scores" else f"the {kind.decides} and all that is computed from them"
    return f"Set it with `--set {kind.name}=NAME`; a change affects {reach}. {usual}".strip()


def plugin(name: str) -> str:
    """The plugin of a paper as a link; modules of mgbench itself have no page."""
    target = registry().sources[name].target
    return f"[`{name}`](../methods/{name}.md)" if target.startswith("mgbench_plugins") else "mgbench"


def _component(kind: Kind, name: str, offer: Offer) -> Iterator[str]:
    about = component(kind.name, name, offer)
    text = offer.maker.__doc__ or ""
    yield f"## `{name}` {{#{name}}}\n"
    yield curves.drawn(kind.name, name, registry())
    yield f"{first_sentence(text)}\n"
    if rest(text):
        yield rest(text) + "\n"
    if about["known_as"]:
        yield f"Papers call it {' or '.join(map(code, about['known_as']))}.\n"
    if about["options"]:
        rows = [
            (
                code(option["name"]),
                in_words(option["type"]),
                code(option["default"]) if "default" in option else "needed",
            )
            for option in about["options"]
        ]
        yield table(("option", "takes", "default"), [tuple(cell.replace("|", "\\|") for cell in row) for row in rows])
    facts = [f"From {plugin(offer.plugin)}."]
    if about["papers"]:
        facts.append(f"Source: {', '.join(prose(paper) for paper in about['papers'])}.")
    if users := methods_with(kind.name, name):
        facts.append(f"Used by {', '.join(users)}.")
    yield " ".join(facts) + "\n"
    yield source(offer.maker)


@cache
def methods_with(kind: str, name: str) -> tuple[str, ...]:
    """Methods whose recipes name a component, as links."""
    found = []
    for owner, recipes in registry().recipes.items():
        for method, recipe in recipes.items():
            value = recipe.metrics if kind == "metric" else (getattr(recipe, kind, None),)
            if any(item is not None and item.name == name for item in value):
                found.append(f"[`{method}`](../methods/{owner}.md#{method})")
    return tuple(found) if len(found) < 12 else ()


def _own(kind: Kind) -> Iterator[str]:
    home = "mgbench.interfaces.engine" if kind.name == "engine" else "mgbench.interfaces.components"
    page = TEACHES.get(kind.name, "../guides/plugins.md")
    yield f"## One of your own {{#own}}\n\nA plugin offers it through the hook `{kind.hook}` ([how]({page})):\n"
    yield f"```sh\nmgbench new-plugin mine --kind {kind.name}\n```\n"
    yield f"writes a project with one that works; it fits the protocol [`{kind.protocol}`][{home}.{kind.protocol}].\n"
