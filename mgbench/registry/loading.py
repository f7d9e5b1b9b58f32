"""Find plugins and load them one by one; a plugin that fails to load does not affect the others."""

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
from packaging.requirements import Requirement

from mgbench import components, hookspecs
from mgbench.errors import UserError, as_sentence, suggestion
from mgbench.interfaces import bibtex
from mgbench.interfaces.tracking import LIFE_HOOKS
from mgbench.recipes.kinds import EVERY_KIND
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import Source
from mgbench.recipes.spec import hints
from mgbench.registry.registry import Offer, Registry, TrackerHooks

GROUP = "mgbench"
# By name, because imports point only down, and this package is above.
ENGINES = ("mgbench.engines.local", "mgbench.engines.ray.engine")
# Seconds of import time above which a plugin is reported as slow.
SLOW_IMPORT = 1.0
RECIPE_HOOK, REFERENCE_HOOK = NO_COMPONENTS = ("mgbench_recipes", "mgbench_references")


def installed() -> dict[str, Source]:
    """The plugins of installed distributions by name, from entry points; nothing is imported."""
    entries = entry_points(group=GROUP)
    # Each distribution once, as it parses its metadata for every question.
    named = {dist: f"{dist.name} {dist.version}" if dist else "" for dist in {entry.dist for entry in entries}}
    return {entry.name: Source(entry.name, entry.value, named[entry.dist]) for entry in entries}


def ours() -> dict[str, Source]:
    """The modules of `mgbench.components` and the engines, which are plugins too."""
    package = f"{components.__name__}."
    modules = [module.name for module in pkgutil.walk_packages(components.__path__, package) if not module.ispkg]
    found = {name.removeprefix(package): name for name in [*modules, *ENGINES]}
    return {name: Source(name, target, "mgbench") for name, target in found.items()}


def built_in() -> tuple[str, ...]:
    """The modules of all plugins that come with mgbench."""
    with_it = (source for source in installed().values() if source.distribution.partition(" ")[0] == GROUP)
    return tuple(source.target for source in (*ours().values(), *with_it))


def find(wanted: str) -> Source:
    """A plugin by its entry point name, by the path of a file, or by module name.

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
    meant = _offered(wanted) or suggestion(wanted, known)
    raise UserError(f"no plugin is called {wanted!r}; {meant} (a path to a .py file works too)")


def _offered(name: str) -> str:
    """A hint at the plugin that offers a component or a method of this name; empty if none does."""
    registry, built_in = load(), ours()
    found = [(kind, registry.names(kind)[name].plugin) for kind in EVERY_KIND if name in registry.names(kind)]
    found += [("method", plugin) for plugin, recipes in registry.recipes.items() if name in recipes]
    for kind, plugin in found:
        called = f"the {kind.replace('_', ' ')} {name!r}"
        return f"{called} is built in and needs none" if plugin in built_in else f"{called} is in the plugin {plugin!r}"
    return ""


def _is_module(name: str) -> bool:
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
    except Exception:
        return True  # It exists, but importing its package fails; the import itself will report how.


def load(wanted: Iterable[Source] = ()) -> Registry:
    """Load the built-in components, all installed plugins, and the `wanted` ones.

    Raises:
        UserError: if a `wanted` plugin does not load or its name is taken; other failures become `problems`.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    asked = tuple(wanted)
    sources = {**ours(), **_unless_edited(installed(), asked)}
    for source in asked:
        if sources.setdefault(source.name, source).target != source.target:
            other = sources[source.name].target
            raise UserError(f"there is a plugin {source.name!r} already ({other}); rename {source.target}")
    for source in sources.values():
        try:
            _add(manager, registry, source)
        except UserError as error:
            if source in asked or source.name in ours():
                raise
            registry.problems[source.name] = str(error)
    return registry


def _unless_edited(found: Mapping[str, Source], asked: Iterable[Source]) -> dict[str, Source]:
    """The installed plugins without those of which a file was asked for, which the user is editing."""
    files = {Path(source.target).stem for source in asked if source.target.endswith(".py")}
    return {name: source for name, source in found.items() if source.target not in files}


def _add(manager: pluggy.PluginManager, registry: Registry, source: Source) -> None:
    _check_needs(source)
    started = time.perf_counter()
    module = _import(source)
    seconds = time.perf_counter() - started
    try:
        manager.register(module, name=source.name)
        manager.check_pending()
        offers = _collect(manager, source.name)
        _check_clashes(registry, source.name, offers)
    except Exception as error:
        if manager.has_plugin(source.name):
            manager.unregister(name=source.name)
        raise UserError(f"plugin {source.name!r} ({source.target}): {as_sentence(error)}") from error
    if seconds > SLOW_IMPORT and source.name not in ours():
        registry.slow[source.name] = seconds
    registry.docstrings[source.name] = module.__doc__ or ""
    registry.sources[source.name] = source
    if hooks := _tracker_hooks(manager, source.name):
        registry.trackers[source.name] = hooks
    for hook, items in offers.items():
        if hook in NO_COMPONENTS:
            _by_plugin(registry, hook)[source.name] = items
        else:
            offered = {name: Offer(maker, source.name) for name, maker in items.items()}
            registry.offers.setdefault(hook, {}).update(offered)


def _check_needs(source: Source) -> None:
    """Refuse a plugin whose distribution requires another version of mgbench."""
    if unmet := _unmet(source.distribution):
        raise UserError(
            f"plugin {source.name!r} ({source.distribution}) {unmet}; install a version of the one that goes with the other"
        )


@lru_cache
def _unmet(distribution: str) -> str:
    """The version of mgbench that a distribution, given as `name version`, needs instead of this one; empty if none.

    Metadata are read once, as many plugins share them; what is not installed or cannot be read needs nothing.
    """
    try:
        wanted = map(Requirement, requires(distribution.partition(" ")[0] or GROUP) or ())
        ours_is = version(GROUP)
        needed = [one for one in wanted if one.name == GROUP and one.marker is None]
    except (PackageNotFoundError, ValueError):
        return ""
    unmet = (one for one in needed if not one.specifier.contains(ours_is, prereleases=True))
    return next((f"needs {one}, and this is mgbench {ours_is}" for one in unmet), "")


def _collect(manager: pluggy.PluginManager, plugin: str) -> dict[str, dict[str, Any]]:
    """The offers of one plugin, by hook and name, checked so that mistakes are found before a run."""
    offers = {}
    for hook, implementation in _implemented(manager, plugin).items():
        if hook not in LIFE_HOOKS:
            offered = implementation.function()
            if not isinstance(offered, Mapping):
                raise UserError(f"{hook} returns {offered!r}, and should return a dict of names and makers")
            for name, item in offered.items():
                _check_offer(hook, name, item)
            offers[hook] = dict(offered)
    return offers


def _tracker_hooks(manager: pluggy.PluginManager, plugin: str) -> TrackerHooks:
    """The tracker hooks of a plugin, not called yet."""
    found = _implemented(manager, plugin)
    return {hook: partial(_call, found[hook]) for hook in LIFE_HOOKS if hook in found}


def _call(implementation: pluggy.HookImpl, **said: object) -> object:
    """Call as pluggy does, with the arguments that the function accepts, also those that have a default."""
    optional = {name: said[name] for name in implementation.kwargnames if name in said}
    return implementation.function(*(said[name] for name in implementation.argnames), **optional)


def _implemented(manager: pluggy.PluginManager, plugin: str) -> dict[str, pluggy.HookImpl]:
    """The hooks that a plugin implements, by name."""
    found = {}
    for hook in vars(manager.hook).values():
        for implementation in hook.get_hookimpls() if isinstance(hook, pluggy.HookCaller) else ():
            if implementation.plugin_name == plugin:
                if implementation.wrapper or implementation.hookwrapper:
                    raise UserError(f"{hook.name} is a wrapper, and there is nothing to wrap; take a plain @hookimpl")
                found[hook.name] = implementation
    return found


def _check_offer(hook: str, name: object, item: object) -> None:
    if hook == REFERENCE_HOOK:
        if not isinstance(item, str) or bibtex.key(item) != name:
            raise UserError(f"{hook} offers {name!r} as {item!r}, which is no BibTeX entry of that key")
        return
    if hook == RECIPE_HOOK:
        if not isinstance(item, Recipe):
            raise UserError(f"{hook} offers {name!r} as {item!r}, which is no Recipe")
        return
    if not isinstance(name, str) or not name.isidentifier():
        raise UserError(f"{hook} offers the name {name!r}; take letters, digits and underscores")
    if not (isinstance(item, type) and dataclasses.is_dataclass(item)):
        raise UserError(f"{hook} offers {name!r} as {item!r}, which is no dataclass")
    if not item.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UserError(f"{hook} offers {name!r}, which can be changed after it is made; write @dataclass(frozen=True)")
    hints(item)


def _check_clashes(registry: Registry, plugin: str, offers: dict[str, dict[str, Any]]) -> None:
    for hook, items in offers.items():
        for name in items:
            owner = _owner(registry, hook, name)
            if owner:
                raise UserError(f"plugins {owner!r} and {plugin!r} both offer {name!r} ({hook}); rename one of them")


def _owner(registry: Registry, hook: str, name: str) -> str | None:
    if hook in NO_COMPONENTS:
        return next((plugin for plugin, items in _by_plugin(registry, hook).items() if name in items), None)
    offer = registry.offers.get(hook, {}).get(name)
    return offer.plugin if offer else None


def _by_plugin(registry: Registry, hook: str) -> dict[str, dict[str, Any]]:
    """The recipes or the BibTeX entries of the registry, by plugin."""
    return registry.recipes if hook == RECIPE_HOOK else registry.references


def _import(source: Source) -> ModuleType:
    try:
        return _import_file(source) if source.target.endswith(".py") else importlib.import_module(source.target)
    except (Exception, SystemExit) as error:
        raise UserError(f"plugin {source.name!r} ({source.target}) does not import: {as_sentence(error)}") from error


def _import_file(source: Source) -> ModuleType:
    name = source.module
    spec = importlib.util.spec_from_file_location(name, source.target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module by name while they are defined.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
