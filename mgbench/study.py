"""A study: base recipes by method name, what varies, and the seeds; from the command line or from a file."""

import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgbench.errors import UserError, suggestion
from mgbench.recipe import Recipe, check_field

DEFAULT_STEPS = (1, 2, 4, 8, 16, 32)
_STEPS = "sampling_steps"
_FILE_KEYS = ("name", "plugins", "methods", "seeds", "set", "vary", "recipes")


@dataclass(frozen=True)
class Study:
    """Base recipes by method name, the values to vary by field, and the seeds."""

    name: str
    recipes: Mapping[str, Recipe]
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)

    def expand(self) -> Iterator[tuple[str, Recipe]]:
        """Every (method, recipe) of the grid; the seed varies slowest, so that a stopped study has whole seeds.

        Raises:
            UserError: if `vary` names no field or a value does not fit its field.
        """
        for name in self.vary:
            check_field(name)
        for seed, (method, base) in itertools.product(self.seeds, self.recipes.items()):
            for values in itertools.product(*self.vary.values()):
                yield method, base.change(**{"seed": seed, **dict(zip(self.vary, values, strict=True))})


@dataclass(frozen=True)
class Outline:
    """What a user asked for, before the plugins that bring the recipes are loaded.

    `changes` are fields set in every recipe; `own` are further recipes, each a `base` method with fields changed.
    """

    name: str = ""
    plugins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def study(self, offered: Mapping[str, Mapping[str, Recipe]]) -> Study:
        """The study, given the recipes that each plugin offers.

        Raises:
            UserError: if a method or field does not exist, or there is nothing to run.
        """
        known = {method: recipe for recipes in offered.values() for method, recipe in recipes.items()}
        own = {name: _own_recipe(name, fields, known) for name, fields in self.own.items()}
        chosen = {method: recipe for plugin in self.plugins for method, recipe in offered.get(plugin, {}).items()}
        chosen = {**chosen, **own} if self.plugins else own or known
        if self.methods:
            chosen = {method: _method(method, {**known, **own}) for method in self.methods}
        if not chosen:
            raise UserError(
                f"{', '.join(self.plugins) or 'no plugin'} brings no recipes; name a plugin that does with --plugins"
            )
        recipes = {method: recipe.change(**self.changes) for method, recipe in chosen.items()}
        vary = dict(self.vary)
        if _STEPS not in vary and _STEPS not in self.changes:
            vary[_STEPS] = DEFAULT_STEPS
        return Study(self.name or "-".join(self.plugins) or "all", recipes, vary, self.seeds or (0,))

    def over(self, other: "Outline") -> "Outline":
        """This outline where it says something, and the other where it does not; fields and axes are joined."""
        return Outline(
            self.name or other.name,
            self.plugins or other.plugins,
            self.methods or other.methods,
            self.seeds or other.seeds,
            {**other.changes, **self.changes},
            {**other.vary, **self.vary},
            {**other.own, **self.own},
        )


def _method(name: str, known: Mapping[str, Recipe]) -> Recipe:
    if name not in known:
        raise UserError(f"no method is called {name!r}; {suggestion(name, known)}")
    return known[name]


def _own_recipe(name: str, fields: Mapping[str, Any], known: Mapping[str, Recipe]) -> Recipe:
    changed = dict(fields)
    base = changed.pop("base", None)
    recipe = Recipe() if base is None else _method(base, known)
    return recipe.change(**changed)


def read_study(path: Path) -> Outline:
    """Read a study file (TOML).

    Raises:
        UserError: with the file, the line and the nearest key, if it cannot be read or a key is unknown.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read the study file {path}: {(error.strerror or str(error)).lower()}") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}") from None
    _check_keys(path, text, content, _FILE_KEYS)
    for table in ("set", "vary"):
        _check_keys(path, text, content.get(table, {}), tuple(Recipe.__dataclass_fields__), f"[{table}]")
    recipes = content.get("recipes", {})
    for name, fields in recipes.items():
        _check_keys(path, text, fields, ("base", *Recipe.__dataclass_fields__), f"[recipes.{name}]")
    return Outline(
        str(content.get("name", path.stem)),
        _texts(path, content, "plugins"),
        _texts(path, content, "methods"),
        tuple(content.get("seeds", ())),
        content.get("set", {}),
        {axis: _listed(values) for axis, values in content.get("vary", {}).items()},
        recipes,
    )


def _check_keys(path: Path, text: str, table: Any, known: Iterable[str], where: str = "") -> None:
    if not isinstance(table, dict):
        raise UserError(f"{path}: {where} should be a table of key = value lines")
    for key in table:
        if key not in known:
            raise UserError(
                f"{path}, line {_line_of(key, text)}: no key {where}{' ' if where else ''}{key!r}; {suggestion(key, known)}"
            )


def _line_of(key: str, text: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().lstrip("[").startswith(key):
            return number
    return 1


def _texts(path: Path, content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = content.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f'{path}: {key} should be a list of names, such as ["emigm", "maskgit"]')
    return tuple(values)


def _listed(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list) else (values,)
