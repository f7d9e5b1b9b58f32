"""Studies: base recipes by method name, varied fields and seeds, from the command line or a file."""

import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import Any

from mgbench.errors import UserError, no_file, suggestion
from mgbench.recipes.claims import TABLE, Claim, read_claims
from mgbench.recipes.notes import kept, not_taught
from mgbench.recipes.recipe import FIELDS, FORMER_FIELDS, Recipe, check_field, current, flattened, renamed
from mgbench.recipes.spec import Index, checked
from mgbench.recipes.students import OwnRecipes, applies

DEFAULT_STEPS = (1, 2, 4, 8, 16, 32)
_STEPS, _SAMPLE_SEED = "sampling_steps", "sample_seed"
_FILE_KEYS: dict[str, Any] = {
    "name": str,
    "plugins": list[str],
    "methods": list[str],
    "seeds": list[Index],
    "sample_seeds": list[Index],
    "set": dict[str, Any],
    "vary": dict[str, Any],
    "recipes": dict[str, dict[str, Any]],
    TABLE: list[dict[str, Any]],
}


@dataclass(frozen=True)
class Study:
    """Base recipes by method name, the values of each varied field, and the seeds.

    Every trained model belongs to one of `seeds`, and is sampled once for each of `sample_seeds`. `given` holds the
    fields that the user set, by method (all fields for a method that is missing). `notes` are sentences about options
    that a change kept. `own_steps` are methods with their own number of sampling steps, which are not varied. `claims`
    are those of its file, and `whole` says whether its rows are those of the file too.
    """

    name: str
    recipes: Mapping[str, Recipe]
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    given: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sample_seeds: tuple[int, ...] = ()
    own_steps: frozenset[str] = frozenset()
    claims: tuple[Claim, ...] = ()
    whole: bool = True

    def expand(self) -> Iterator[tuple[str, Recipe]]:
        """Every (method, recipe) of the grid; seeds vary slowest, so that an interrupted study has complete seeds.

        Without seeds, each recipe keeps its own.

        Raises:
            UserError: if a varied field does not exist or a value does not fit its field.
        """
        for name in self.vary:
            check_field(name.partition(".")[0])
        axes = {**({_SAMPLE_SEED: self.sample_seeds} if self.sample_seeds else {}), **self.vary}
        for seed, (method, base) in itertools.product(self.seeds or (None,), self.recipes.items()):
            seeded = base if seed is None else base.change(seed=seed)
            vary = {axis: values for axis, values in axes.items() if self._varies(method, axis)}
            for values in itertools.product(*vary.values()):
                yield method, seeded.change(**dict(zip(vary, values, strict=True)))

    def _varies(self, method: str, axis: str) -> bool:
        if axis == _STEPS and method in self.own_steps:
            return False
        return applies(axis, self.recipes[method], self.recipes.values())


@dataclass(frozen=True)
class Outline:
    """A study as requested, before the plugins that provide the recipes are loaded.

    `changes` are fields set in every recipe; `own` are additional recipes, each a `base` method with changed fields.
    `claims` are those of the study file, and `whole` says whether no option selects or changes its rows.
    """

    name: str = ""
    plugins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sample_seeds: tuple[int, ...] = ()
    claims: tuple[Claim, ...] = ()
    whole: bool = True

    def study(self, offered: Mapping[str, Mapping[str, Recipe]]) -> Study:
        """Build the study from the recipes of each plugin.

        Raises:
            UserError: if a method or field does not exist, or the study is empty.
        """
        outline, notes = self._current()
        study = outline._study(offered)
        return replace(study, notes=(*notes, *study.notes), claims=self.claims, whole=self.whole)

    def _current(self) -> tuple["Outline", tuple[str, ...]]:
        """This outline with the present names of fields, and a sentence for each former name."""
        vary = {axis: [current(axis, value) for value in values] for axis, values in self.vary.items()}
        given = [*self.changes.items(), *((axis, values[0]) for axis, values in self.vary.items() if values)]
        given += [pair for fields in self.own.values() for pair in fields.items()]
        outline = replace(
            self,
            changes=dict(starmap(current, self.changes.items())),
            vary={pairs[0][0] if pairs else axis: tuple(value for _, value in pairs) for axis, pairs in vary.items()},
            own={name: dict(starmap(current, fields.items())) for name, fields in self.own.items()},
        )
        return outline, tuple(dict.fromkeys(renamed(*pair) for pair in given if pair[0] in FORMER_FIELDS))

    def _study(self, offered: Mapping[str, Mapping[str, Recipe]]) -> Study:
        known = {method: recipe for recipes in offered.values() for method, recipe in recipes.items()}
        own = {name: _own_recipe(name, fields, known) for name, fields in self.own.items()}
        chosen = {method: recipe for plugin in self.plugins for method, recipe in offered.get(plugin, {}).items()}
        chosen = {**chosen, **own} if self.plugins else own or known
        if self.methods:
            chosen = {method: _method(method, {**known, **own}) for method in self.methods}
        if not chosen:
            raise UserError(
                f"{', '.join(self.plugins) or 'no plugin'} provides no recipes; name a plugin that does with --plugins"
            )
        for method in chosen:
            _printable(method)
        taught = OwnRecipes(own, self.own, known)
        recipes = {method: taught.taught(self._changed(recipe, chosen)) for method, recipe in chosen.items()}
        vary = {axis: taught.values(axis, values) for axis, values in self.vary.items()}
        for axis, values in vary.items():
            if not values:
                raise UserError(f"{axis} varies over an empty list; give values, or leave it out")
        if self.sample_seeds and _SAMPLE_SEED in {*vary, *self.changes}:
            raise UserError("sampling seeds are given twice; keep either sample_seeds or sample_seed")
        own_steps = frozenset(method for method, recipe in recipes.items() if recipe.says_steps and _STEPS not in vary)
        if _STEPS not in vary and own_steps != recipes.keys():
            vary[_STEPS] = DEFAULT_STEPS
        set_here = {*self.changes, *vary}
        given = {method: _fields({*set_here, *self.own.get(method, ())}) for method in recipes}
        name = _folder_name(self.name or "-".join(self.plugins) or "all")
        changed = {**{name: (value,) for name, value in self.changes.items()}, **self.vary}
        notes = (*kept(chosen, self.changes), *not_taught(recipes, changed, known))
        return Study(name, recipes, vary, self.seeds, given, notes, self.sample_seeds, own_steps)

    def _changed(self, recipe: Recipe, among: Mapping[str, Recipe]) -> Recipe:
        changes = {name: value for name, value in self.changes.items() if applies(name, recipe, among.values())}
        return recipe.change(**changes)

    def over(self, other: "Outline") -> "Outline":
        """This outline, completed with the values of another; changes and varied fields are merged."""
        return Outline(
            self.name or other.name,
            self.plugins or other.plugins,
            self.methods or other.methods,
            self.seeds or other.seeds,
            {**other.changes, **self.changes},
            {**{axis: values for axis, values in other.vary.items() if axis not in self.changes}, **self.vary},
            {**other.own, **self.own},
            self.sample_seeds or other.sample_seeds,
            other.claims,
            not (self.plugins or self.methods or self.changes or self.vary),
        )


def _fields(names: Iterable[str]) -> frozenset[str]:
    """The fields of names of fields and options (`head.width` belongs to `head`)."""
    return frozenset(name.partition(".")[0] for name in names)


def _folder_name(name: str) -> str:
    """Check the name of a study, which is also a file and folder name.

    Raises:
        UserError: if it has characters that file names may not have.
    """
    if not re.fullmatch(r"\w[\w.+ -]*", name):
        raise UserError(f"a study cannot be called {name!r}; take letters, digits, dots and dashes")
    return name


def _printable(method: str) -> None:
    """Check that the name of a method can be printed.

    Raises:
        UserError: if it is empty or has control characters.
    """
    if not method.strip() or not method.isprintable():
        raise UserError(f"a method cannot be called {method!r}; take letters, digits, dots and dashes")


def _method(name: str, known: Mapping[str, Recipe]) -> Recipe:
    if name not in known:
        raise UserError(f"no method is called {name!r}; {suggestion(name, known)}")
    return known[name]


def _own_recipe(name: str, fields: Mapping[str, Any], known: Mapping[str, Recipe]) -> Recipe:
    changed = dict(fields)
    base = checked(str | None, changed.pop("base", None), f"recipes.{name}: base")
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
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"cannot read the study file {path}: {no_file(path, ('.toml',))}") from None
    except OSError as error:
        raise UserError(f"cannot read the study file {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    _check_keys(path, text, "", content, _FILE_KEYS)
    if not content:
        raise UserError(f'{path} is empty; name plugins in it, such as plugins = ["emigm"]')
    if isinstance(content.get(TABLE), dict):
        raise UserError(f"{path}, line {_line_of(TABLE, '', text)}: write [[{TABLE}]], in double brackets")
    for key, value in content.items():
        content[key] = checked(_FILE_KEYS[key], value, f"{path}, line {_line_of(key, '', text)}: {key}")
    for table in ("set", "vary"):
        _check_keys(path, text, table, content.get(table, {}), FIELDS)
    for name, fields in content.get("recipes", {}).items():
        _check_keys(path, text, f"recipes.{name}", fields, ("base", *FIELDS))
    return Outline(
        content.get("name", path.stem),
        tuple(content.get("plugins", ())),
        tuple(content.get("methods", ())),
        tuple(content.get("seeds", ())),
        dict(flattened(content.get("set", {}))),
        {axis: _listed(values) for axis, values in flattened(content.get("vary", {}))},
        {name: dict(flattened(fields)) for name, fields in content.get("recipes", {}).items()},
        tuple(content.get("sample_seeds", ())),
        read_claims(content.get(TABLE, ()), path, text),
    )


def _check_keys(path: Path, text: str, table: str, keys: Iterable[str], known: Iterable[str]) -> None:
    for key in keys:
        if key.partition(".")[0] not in known and not (table and key in FORMER_FIELDS):
            where = f"{path}, line {_line_of(key, table, text)}"
            what = f"[{table}] has no key" if table else "a study file has no key"
            raise UserError(f"{where}: {what} {key!r}; {suggestion(key, known)}")


def _line_of(key: str, table: str, text: str) -> int:
    """The line number at which a key of a table (`""`: the top level) is set, or the table of that name begins."""
    inside = not table
    named = re.compile(rf"[\"']?{re.escape(key)}[\"']?\s*[=.]")
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            inside = header[1] == table
            if not table and header[1].partition(".")[0] == key:
                return number
        elif inside and named.match(line.strip()):
            return number
    return next((number for number, line in enumerate(text.splitlines(), 1) if key in line), 1)


def _listed(values: object) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list) else (values,)
