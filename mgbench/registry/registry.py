"""What the loaded plugins offer: look a component up by its spec, spell it out, build it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mgbench.errors import UserError, suggestion
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import OUR_COMPONENTS, Source
from mgbench.recipes.spec import Spec, bind, checked, defaults, hints, make, part_kind

# Kinds that share a hook (training's and sampling's mask schedule) share their offers.
HOOKS = {
    **{kind.name: kind.hook for kind in KINDS.values()},
    "metric": "mgbench_metrics",
    "engine": "mgbench_engines",
}

# What a plugin wants to be called with in a run's life, by hook, each with keyword arguments.
LifeHooks = Mapping[str, Callable[..., object]]


@dataclass(frozen=True)
class Offer:
    """A component's maker, and the plugin that brought it."""

    maker: type
    plugin: str


@dataclass
class Registry:
    """All that the loaded plugins offer, by hook and name; recipes by plugin and name, and BibTeX entries by plugin and key.

    `docstrings` are those of the plugins, `sources` is where they come from, and `life` holds the hooks of those that want to
    hear of runs; `problems` says what did not load, by plugin.
    """

    offers: dict[str, dict[str, Offer]] = field(default_factory=dict)
    recipes: dict[str, dict[str, Recipe]] = field(default_factory=dict)
    references: dict[str, dict[str, str]] = field(default_factory=dict)
    docstrings: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    life: dict[str, LifeHooks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def names(self, kind: str) -> dict[str, Offer]:
        """The components of a kind by name."""
        return self.offers.get(HOOKS[kind], {})

    def offer(self, kind: str, spec: Spec) -> Offer:
        """Look a component up.

        Raises:
            UserError: with the nearest name.
        """
        known = self.names(kind)
        if spec.name not in known:
            meant = self._known_as(kind, spec.name) or suggestion(spec.name, known)
            raise UserError(f"no {kind.replace('_', ' ')} is called {spec.name!r}; {meant}")
        return known[spec.name]

    def _known_as(self, kind: str, alias: str) -> str:
        """Which components papers call by a name that is not ours, if they do."""
        offers = self.names(kind).items()
        meant = [repr(name) for name, offer in offers if alias in getattr(offer.maker, "known_as", ())]
        return f"papers mean {' or '.join(meant)} by it" if meant else ""

    def resolve(self, kind: str, spec: Spec) -> Spec:
        """The spec with every option by its name and checked, and those that equal their default left out.

        Raises:
            UserError: as `build`.
        """
        maker = self.offer(kind, spec).maker
        usual = self._defaults(maker)
        given = self._given(maker, spec)
        return Spec(spec.name, (), tuple(item for item in given.items() if item not in usual.items()))

    def spell(self, kind: str, spec: Spec) -> Spec:
        """The spec with every option, given or not, down to the components among them.

        Raises:
            UserError: as `build`.
        """
        maker = self.offer(kind, spec).maker
        options = {**self._defaults(maker), **self._given(maker, spec)}
        kinds = {name: part_kind(hint) for name, hint in hints(maker).items()}
        spelled = {name: self.spell(inner, options[name]) if inner else options[name] for name, inner in kinds.items()}
        return Spec(spec.name, (), tuple(spelled.items()))

    def build(self, kind: str, spec: Spec) -> Any:
        """Make a component, and first the components among its options.

        Raises:
            UserError: if it is unknown, or an option is unknown, missing or does not fit.
        """
        maker = self.offer(kind, spec).maker
        options = {**self._defaults(maker), **self._given(maker, spec)}
        for name, inner in self._parts(maker):
            if name in options:
                options[name] = self.build(inner, options[name])
        return make(maker, options, str(spec))

    def makers(self, kind: str, spec: Spec) -> Iterator[type]:
        """The maker of a component, and those of the components among its options."""
        return (offer.maker for offer in self.offered(kind, spec))

    def offered(self, kind: str, spec: Spec) -> Iterator[Offer]:
        """Who offers a component, and the components among its options."""
        offer = self.offer(kind, spec)
        yield offer
        options = {**self._defaults(offer.maker), **self._given(offer.maker, spec)}
        for name, inner in self._parts(offer.maker):
            yield from self.offered(inner, options[name])

    def versions(self, method: str, recipe: Mapping[str, Any]) -> list[str]:
        """The plugins behind a row, of its method and of all components in its spelled-out recipe, as `Source.version` has them.

        Our own components come last.
        """
        used = [plugin for plugin, recipes in self.recipes.items() if method in recipes]
        specs = [(kind, recipe[kind]) for kind in KINDS if recipe.get(kind) is not None]
        specs += [("metric", metric) for metric in recipe.get("metrics") or ()]
        used += [offer.plugin for kind, spec in specs for offer in self.offered(kind, Spec.parse(spec))]
        sources = [self.sources[plugin] for plugin in dict.fromkeys(used)]
        return [source.version() for source in sorted(sources, key=lambda source: OUR_COMPONENTS in source.target)]

    def _parts(self, maker: type) -> list[tuple[str, str]]:
        kinds = [(name, part_kind(hint)) for name, hint in hints(maker).items()]
        return [(name, kind) for name, kind in kinds if kind]

    def _given(self, maker: type, spec: Spec) -> dict[str, Any]:
        given = bind(maker, spec)
        missing = [name for name in hints(maker) if name not in given and name not in defaults(maker)]
        if missing:
            raise UserError(f"{spec}: {spec.name} needs {', '.join(missing)}")
        checked_values = self._checked(maker, given, str(spec))
        return {name: checked_values[name] for name in hints(maker) if name in given}

    def _defaults(self, maker: type) -> dict[str, Any]:
        return self._checked(maker, defaults(maker), f"{maker.__name__}, a default")

    def _checked(self, maker: type, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Values as their options take them: 3 as 3.0 where a float is due, text as a spec where a component is due."""
        types = hints(maker)
        found = {}
        for name, value in values.items():
            inner = part_kind(types[name])
            if inner:
                found[name] = self.resolve(inner, Spec.parse(value))
            else:
                found[name] = checked(types[name], value, f"{where}: option {name!r}")
        return found
