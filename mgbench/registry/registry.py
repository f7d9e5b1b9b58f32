"""The registry of loaded plugins: components are looked up by spec, spelled out in full and built."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, overload

from mgbench.errors import UserError, suggestion
from mgbench.interfaces.optional import other_names
from mgbench.recipes.fingerprint import node_of
from mgbench.recipes.kinds import EVERY_KIND, KINDS, OF_PROTOCOL
from mgbench.recipes.normal import Node
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import OUR_COMPONENTS, Source
from mgbench.recipes.spec import Spec, bind, checked, defaults, hints, make, part_kind
from mgbench.registry.blame import blame

# Kinds that share a hook (the mask schedules of training and of sampling) share components.
HOOKS = {name: kind.hook for name, kind in EVERY_KIND.items()}

# The tracker hooks of a plugin by name, called with keyword arguments.
TrackerHooks = Mapping[str, Callable[..., object]]
# The protocol of a kind.
P = TypeVar("P")


@dataclass(frozen=True)
class Offer:
    """A component class and the plugin that offers it."""

    maker: type
    plugin: str


@dataclass(frozen=True)
class Bound:
    """A resolved spec: its component, and the offers of the component and of those among its options.

    `spelled` has every option, `resolved` only those that differ from their defaults. `fault` is the reason if there is
    no component.
    """

    spec: Spec
    component: object
    spelled: Spec
    resolved: Spec
    offers: tuple[Offer, ...]
    fault: str = ""

    def built(self) -> object:
        """The component.

        Raises:
            UserError: if making it raised an error.
        """
        if self.fault:
            raise UserError(self.fault)
        return self.component

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The definitions of the component and of those among its options."""
        return tuple(node_of(offer.maker) for offer in self.offers)


@dataclass
class Registry:
    """Everything that the loaded plugins offer: components by hook and name, recipes and BibTeX entries by plugin and
    name.

    By plugin: `docstrings`, `sources` (where it comes from), `trackers` (its tracker hooks), `problems` (why it did not
    load) and `slow` (seconds of import time, if long). `memory` caches look-ups.
    """

    offers: dict[str, dict[str, Offer]] = field(default_factory=dict)
    recipes: dict[str, dict[str, Recipe]] = field(default_factory=dict)
    references: dict[str, dict[str, str]] = field(default_factory=dict)
    docstrings: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    trackers: dict[str, TrackerHooks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict, compare=False)
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)
    _bound: dict[tuple[str, str], Bound] = field(default_factory=dict, repr=False)
    _usual: dict[type, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def methods(self) -> dict[str, Recipe]:
        """The recipes of all plugins, by method."""
        return {name: recipe for offered in self.recipes.values() for name, recipe in offered.items()}

    def method(self, name: str) -> Recipe:
        """The recipe of a method.

        Raises:
            UserError: with the nearest name.
        """
        known = self.methods
        if name not in known:
            raise UserError(f"no method is called {name!r}; {suggestion(name, known)}")
        return known[name]

    def names(self, kind: str) -> dict[str, Offer]:
        """The components of a kind by name."""
        return self.offers.get(HOOKS[kind], {})

    def offer(self, kind: str, spec: Spec) -> Offer:
        """Look up a component.

        Raises:
            UserError: with the nearest name.
        """
        known = self.names(kind)
        if spec.name not in known:
            meant = self._known_as(kind, spec.name) or suggestion(spec.name, known)
            raise UserError(f"no {kind.replace('_', ' ')} is called {spec.name!r}; {meant}")
        return known[spec.name]

    def _known_as(self, kind: str, alias: str) -> str:
        """A hint at components that papers call by this name; empty if there are none."""
        offers = self.names(kind).items()
        meant = [repr(name) for name, offer in offers if alias in other_names(offer.maker)]
        return f"papers mean {' or '.join(meant)} by it" if meant else ""

    def bound(self, kind: str, spec: Spec) -> Bound:
        """Resolve a spec; equal spellings give the same object.

        Raises:
            UserError: if it is unknown, or an option is unknown, missing or does not fit.
        """
        key = (HOOKS[kind], str(spec))
        if key not in self._bound:
            self._bound[key] = self._bind(kind, spec)
        return self._bound[key]

    def _bind(self, kind: str, spec: Spec) -> Bound:
        offer = self.offer(kind, spec)
        usual, given = self._defaults(offer.maker), self._given(offer.maker, spec)
        options = {name: {**usual, **given}[name] for name in hints(offer.maker)}
        inner = {name: self.bound(kind, options[name]) for name, kind in _parts(offer.maker)}
        spelled = {name: inner[name].spelled if name in inner else value for name, value in options.items()}
        component, fault = self._made(offer, options, inner, spec)
        return Bound(
            spec,
            component,
            Spec(spec.name, (), tuple(spelled.items())),
            Spec(spec.name, (), tuple(item for item in given.items() if item not in usual.items())),
            (offer, *(other for bound in inner.values() for other in bound.offers)),
            fault,
        )

    def _made(
        self, offer: Offer, options: Mapping[str, Any], inner: Mapping[str, Bound], spec: Spec
    ) -> tuple[object, str]:
        """The component, or the reason why it cannot be built."""
        broken = [bound.fault for bound in inner.values() if bound.fault]
        if broken:
            return None, broken[0]
        parts = {name: bound.component for name, bound in inner.items()}
        try:
            return make(offer.maker, {**options, **parts}, str(spec)), ""
        except UserError:
            raise
        except Exception as error:
            return None, f"{spec}: {blame(error, [offer.maker])}"

    def resolve(self, kind: str, spec: Spec) -> Spec:
        """The spec with checked, named options, without those that equal their defaults; raises as `bound`."""
        return self.bound(kind, spec).resolved

    def spell(self, kind: str, spec: Spec) -> Spec:
        """The spec with all options, including defaults and those of nested components; raises as `bound`."""
        return self.bound(kind, spec).spelled

    @overload
    def build(self, kind: type[P], spec: Spec) -> P: ...

    @overload
    def build(self, kind: str, spec: Spec) -> object: ...

    def build(self, kind: type[P] | str, spec: Spec) -> P | object:
        """Build a component and the components among its options; raises as `bound`.

        `kind` is a name, or the protocol of its components, which is then the type of the result:
        `registry.build(Dataset, Spec("digits"))`.
        """
        return self.bound(kind if isinstance(kind, str) else OF_PROTOCOL[kind.__name__], spec).built()

    def makers(self, kind: str, spec: Spec) -> Iterator[type]:
        """The classes of a component and of the components among its options; raises as `bound`."""
        return (offer.maker for offer in self.bound(kind, spec).offers)

    def versions(self, method: str, recipe: Mapping[str, Any]) -> list[str]:
        """The versions (`Source.version`) of the plugins of a row: of its method and of all components in its full
        recipe.

        The built-in components come last.
        """
        used = [plugin for plugin, recipes in self.recipes.items() if method in recipes]
        specs = [(kind, recipe[kind]) for kind in KINDS if recipe.get(kind) is not None]
        specs += [("metric", metric) for metric in recipe.get("metrics") or ()]
        used += [offer.plugin for kind, spec in specs for offer in self.bound(kind, Spec.parse(spec)).offers]
        sources = [self.sources[plugin] for plugin in dict.fromkeys(used)]
        return [source.version() for source in sorted(sources, key=lambda source: OUR_COMPONENTS in source.target)]

    def _given(self, maker: type, spec: Spec) -> dict[str, Any]:
        given = bind(maker, spec)
        missing = [name for name in hints(maker) if name not in given and name not in defaults(maker)]
        if missing:
            options = ", ".join(f"{name}=…" for name in missing)
            raise UserError(f"{spec}: {spec.name} needs {', '.join(missing)}; write {spec.name}({options})")
        checked_values = self._checked(maker, given, str(spec))
        return {name: checked_values[name] for name in hints(maker) if name in given}

    def _defaults(self, maker: type) -> dict[str, Any]:
        if maker not in self._usual:
            self._usual[maker] = self._checked(maker, defaults(maker), f"{maker.__name__}, a default")
        return self._usual[maker]

    def _checked(self, maker: type, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Values converted for their options: 3 to 3.0 for a float, text to a spec for a component."""
        types = hints(maker)
        found = {}
        for name, value in values.items():
            inner = part_kind(types[name])
            if inner:
                found[name] = self.resolve(inner, Spec.parse(value))
            else:
                found[name] = checked(types[name], value, f"{where}: option {name!r}")
        return found


def _parts(maker: type) -> list[tuple[str, str]]:
    """The options of a component that are components, with their kinds."""
    kinds = [(name, part_kind(hint)) for name, hint in hints(maker).items()]
    return [(name, kind) for name, kind in kinds if kind]
