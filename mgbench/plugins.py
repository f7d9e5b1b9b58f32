"""Find plugins, load them one by one, and keep what they offer; a plugin that fails takes nothing else down."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from mgbench import components, hookspecs
from mgbench.errors import UserError, suggestion
from mgbench.recipe import KINDS, Recipe
from mgbench.spec import Spec, bind, checked, hints, make, part_kind

GROUP = "mgbench"
METRIC_HOOK = "mgbench_metrics"
RECIPE_HOOK = "mgbench_recipes"
# Kinds that share a hook (training's and sampling's mask schedule) share their offers.
_HOOK_OF = {**{kind.name: kind.hook for kind in KINDS.values()}, "metric": METRIC_HOOK}


@dataclass(frozen=True)
class Offer:
    """A component's maker, and the plugin that brought it."""

    maker: type
    plugin: str


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from: its name, its module or file, and its distribution."""

    name: str
    target: str
    distribution: str = ""


@dataclass
class Registry:
    """All that the loaded plugins offer, by hook and name; `problems` says what did not load, by plugin."""

    offers: dict[str, dict[str, Offer]] = field(default_factory=dict)
    recipes: dict[str, dict[str, Recipe]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def names(self, kind: str) -> dict[str, Offer]:
        """The components of a kind by name."""
        return self.offers.get(_HOOK_OF[kind], {})

    def offer(self, kind: str, spec: Spec) -> Offer:
        """Look a component up.

        Raises:
            UserError: with the nearest name.
        """
        known = self.names(kind)
        if spec.name not in known:
            raise UserError(f"no {kind.replace('_', ' ')} is called {spec.name!r}; {suggestion(spec.name, known)}")
        return known[spec.name]

    def resolve(self, kind: str, spec: Spec) -> Spec:
        """The spec with every option by its name and checked, and those that equal their default left out.

        Raises:
            UserError: as `build`.
        """
        maker = self.offer(kind, spec).maker
        given, defaults = self._options(maker, spec), _defaults(maker)
        kept = [(name, given[name]) for name in given if name not in defaults or given[name] != defaults[name]]
        return Spec(spec.name, (), tuple(kept))

    def spell(self, kind: str, spec: Spec) -> Spec:
        """The spec with every option, given or not.

        Raises:
            UserError: as `build`.
        """
        maker = self.offer(kind, spec).maker
        options = {**_defaults(maker), **self._options(maker, spec, spell=True)}
        return Spec(spec.name, (), tuple((name, options[name]) for name in hints(maker) if name in options))

    def build(self, kind: str, spec: Spec) -> Any:
        """Make a component.

        Raises:
            UserError: if it is unknown, or an option is unknown, missing or does not fit.
        """
        maker = self.offer(kind, spec).maker
        options = self._options(maker, spec)
        for name, hint in hints(maker).items():
            inner = part_kind(hint)
            if inner and name in options:
                options[name] = self.build(inner, options[name])
        return make(maker, options, str(spec))

    def _options(self, maker: type, spec: Spec, spell: bool = False) -> dict[str, Any]:
        types = hints(maker)
        options = {}
        for name, value in bind(maker, spec).items():
            inner = part_kind(types[name])
            if inner:
                nested = Spec.parse(value)
                options[name] = self.spell(inner, nested) if spell else self.resolve(inner, nested)
            else:
                options[name] = checked(types[name], value, f"{spec}: option {name!r}")
        return {name: options[name] for name in types if name in options}


def _defaults(maker: type) -> dict[str, Any]:
    return {name: getattr(maker, name) for name in hints(maker) if hasattr(maker, name)}


def installed() -> dict[str, Source]:
    """The plugins that installed distributions announce, by name; nothing is imported."""
    return {entry.name: Source(entry.name, entry.value, _distribution(entry)) for entry in entry_points(group=GROUP)}


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""


def ours() -> dict[str, Source]:
    """The files of `mgbench.components`, which come through the same hooks as everybody's."""
    names = [module.name for module in pkgutil.iter_modules(components.__path__)]
    return {name: Source(name, f"{components.__name__}.{name}", "mgbench") for name in names}


def find(wanted: str) -> Source:
    """A plugin by its announced name, by the path of a file, or as a module.

    Raises:
        UserError: if there is none; with the nearest name.
    """
    if wanted.endswith(".py"):
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"there is no plugin file {wanted!r}; give the path of a .py file that exists")
        return Source(path.stem, str(path.resolve()))
    known = installed()
    if wanted in known:
        return known[wanted]
    if "." in wanted and _is_module(wanted):
        return Source(wanted.rpartition(".")[2], wanted)
    raise UserError(f"no plugin is called {wanted!r}; {suggestion(wanted, known)} (a path to a .py file works too)")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def load(wanted: Iterable[Source] = ()) -> Registry:
    """Load our components, all installed plugins, and those that are `wanted` by path or module.

    Raises:
        UserError: if one of the `wanted` does not load or two plugins offer one name; others that fail become `problems`.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    asked = {source.name: source for source in wanted}
    for source in ({**ours(), **installed(), **asked}).values():
        try:
            _add(manager, registry, source)
        except UserError as error:
            if source.name in asked or source.name in ours():
                raise
            registry.problems[source.name] = str(error)
    return registry


def _add(manager: pluggy.PluginManager, registry: Registry, source: Source) -> None:
    module = _import(source)
    try:
        manager.register(module, name=source.name)
        manager.check_pending()
        offers = _collect(manager, source.name)
    except Exception as error:
        if manager.has_plugin(source.name):
            manager.unregister(name=source.name)
        raise UserError(f"plugin {source.name!r} ({source.target}): {_sentence(error)}") from error
    _check_clashes(registry, source.name, offers)
    for hook, items in offers.items():
        if hook == RECIPE_HOOK:
            registry.recipes[source.name] = items
        else:
            registry.offers.setdefault(hook, {}).update(
                {name: Offer(maker, source.name) for name, maker in items.items()}
            )


def _collect(manager: pluggy.PluginManager, plugin: str) -> dict[str, dict[str, Any]]:
    offers = {}
    for hook in vars(manager.hook).values():
        for implementation in hook.get_hookimpls() if isinstance(hook, pluggy.HookCaller) else ():
            if implementation.plugin_name == plugin:
                offers[hook.name] = dict(implementation.function())  # type: ignore[call-overload]
    return offers


def _check_clashes(registry: Registry, plugin: str, offers: dict[str, dict[str, Any]]) -> None:
    for hook, items in offers.items():
        taken = registry.offers.get(hook, {})
        for name in items:
            owner = taken[name].plugin if name in taken else None
            if owner:
                raise UserError(f"plugins {owner!r} and {plugin!r} both offer {name!r} ({hook}); rename one of them")


def _import(source: Source) -> ModuleType:
    try:
        return _import_file(source) if source.target.endswith(".py") else importlib.import_module(source.target)
    except Exception as error:
        raise UserError(f"plugin {source.name!r} ({source.target}) does not import: {_sentence(error)}") from error


def _import_file(source: Source) -> ModuleType:
    name = f"mgbench_plugin_{source.name}"
    spec = importlib.util.spec_from_file_location(name, source.target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while they are made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
