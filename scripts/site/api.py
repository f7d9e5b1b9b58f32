"""Pages of the API, which mkdocstrings fills from docstrings."""

from types import ModuleType

import mgbench
from mgbench import report
from mgbench.testing import __name__ as testing

# Title, what the page is for, and the modules it shows.
MODULES = {
    "protocols": (
        "Protocols of the kinds",
        "A component is a frozen dataclass with the members of the protocol of its kind.",
        ("mgbench.interfaces.components", "mgbench.interfaces.engine"),
    ),
    "data": (
        "Data and modules",
        "The data that components are given and give back, and the modules that they build.",
        ("mgbench.interfaces.data", "mgbench.interfaces.modules"),
    ),
    "sampling": (
        "Sampling and randomness",
        "A step of sampling, the input of a sampler, and the random streams of images.",
        ("mgbench.interfaces.sampling", "mgbench.interfaces.randomness"),
    ),
    "recipes": (
        "Recipes and specs",
        "The text that decides a run: recipes, specs with their option types, and studies.",
        ("mgbench.recipes.recipe", "mgbench.recipes.spec", "mgbench.recipes.study"),
    ),
    "scores": (
        "Scores, trackers and optional attributes",
        "Declarations of scores, the run that trackers are told of, and the attributes that a component may have.",
        ("mgbench.interfaces.scores", "mgbench.interfaces.tracking", "mgbench.interfaces.optional"),
    ),
    "hooks": ("Hooks", "The functions of a plugin.", ("mgbench.hookspecs",)),
    "testing": ("Laws and checks", "The laws of the kinds, for tests of plugins.", (testing,)),
    "components": (
        "Building blocks",
        "Functions that samplers and models of plugins share with those that come along.",
        ("mgbench.components.samplers.plans", "mgbench.components.networks.blocks"),
    ),
}
# Its fields fill a screen as a signature, and the reference explains each of them.
OPTIONS = {"Recipe": "\n    options: {merge_init_into_class: false}"}


def pages() -> dict[str, str]:
    """The pages of the API by their paths in the site."""
    made = {"api/index.md": _door(), "api/report.md": _report()}
    made |= {f"api/{name}.md": _modules(*item) for name, item in MODULES.items()}
    return made


def _door() -> str:
    defined = {name: getattr(mgbench, name).__module__ for name in mgbench.__all__ if name != "hookimpl"}
    protocols = [name for name, module in defined.items() if module in MODULES["protocols"][2]]
    names = "\n\n".join(_shown(mgbench, name) for name in defined if name not in protocols)
    linked = ", ".join(f"[`{name}`][{defined[name]}.{name}]" for name in protocols)
    return (
        "# mgbench\n\nThe names that `import mgbench` gives. They are imported on first use, so that the import is instant "
        "and free of torch. `mgbench.hookimpl` marks the functions of a plugin that are [hooks](hooks.md), the "
        "[reference](../reference.md#what-a-recipe-sets) has the fields of a recipe, and "
        "[a notebook](../tutorials/library.md) uses the others.\n\n" + names + f"\n\n## Protocols\n\n{linked}\n"
    )


def _report() -> str:
    names = "\n\n".join(_shown(report, name) for name in report.__all__)
    return (
        "# mgbench.report\n\nFrames, tables and figures of stored results; [a notebook](../tutorials/figures.md) shows them. "
        f"Nothing here imports torch.\n\n{names}\n"
    )


def _shown(module: ModuleType, name: str) -> str:
    """The directive for one name, where it is defined."""
    found = getattr(module, name)
    return f"::: {found.__module__}.{found.__qualname__}{OPTIONS.get(name, '')}"


def _modules(title: str, about: str, modules: tuple[str, ...]) -> str:
    shown = "\n\n".join(f"::: {name}\n    options: {{heading_level: 2}}" for name in modules)
    return f"# {title}\n\n{about}\n\n{shown}\n"
