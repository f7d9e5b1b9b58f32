"""Plan a study: its rows, which of them are skipped or reused, and the trials that compute the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mgbench.errors import UserError
from mgbench.recipes.recipe import FIELDS
from mgbench.recipes.study import Study
from mgbench.registry.prepared import token_space
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import Assembly, assemble
from mgbench.results.former import FORMER, former_rows
from mgbench.results.imported import with_weights
from mgbench.results.record import FAILED, About, Record, Status
from mgbench.results.store import Store
from mgbench.results.wording import counted
from mgbench.trials.foreseen import foreseen

# The fields of a recipe that affect a row about its tokenizer, which scores as many images as rows about models.
_OF_TOKENIZER = ("dataset", "tokenizer", "extractor", "metrics", "samples", "label_distribution", "reference")
TOKENIZER = "tokenizer"


@dataclass(frozen=True)
class Row:
    """One row of a study: the images of a recipe, or the reconstructions of real images by its tokenizer.

    `standing` is the status of a stored record that is kept, so that nothing is computed. `origin` holds the plugins,
    study and command for its record.
    """

    method: str
    assembly: Assembly
    standing: Status | None = None
    about: About = "images"
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reused(self) -> bool:
        """Whether its result is stored and undamaged."""
        return self.standing == "done"

    @property
    def key(self) -> str:
        """The key of its record."""
        keys = self.assembly.keys
        return keys.run if self.about == "images" else keys.reconstruction

    @property
    def trial(self) -> str:
        """The key of its trained model, or of its fitted tokenizer."""
        keys = self.assembly.keys
        return keys.training if self.about == "images" else keys.tokenizer

    @property
    def keys(self) -> dict[str, str]:
        """The keys of the tokenizer, model and images that its result depends on."""
        keys = self.assembly.keys
        if self.about == "tokenizer":
            return {"tokenizer": keys.tokenizer}
        return {"tokenizer": keys.tokenizer, "model": keys.training, "images": keys.images}

    @property
    def spelled(self) -> dict[str, Any]:
        """Every field of the recipe in full, None where it does not affect this row."""
        spelled = self.assembly.spelled
        if self.about == "images":
            return spelled
        return {name: value if name in _OF_TOKENIZER else None for name, value in spelled.items()}

    def record(self, status: str, reason: str = "", **rest: object) -> Record:
        """A record of this row."""
        images = self.assembly.images
        return Record(
            self.key,
            self.trial,
            self.method,
            status,  # type: ignore[arg-type]
            self.spelled,
            reason,
            data="" if images is None else images.fingerprint,
            about=self.about,
            **{"keys": self.keys, **rest},  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Trial:
    """The rows that share one trained model (one training, many samplings), or the rows about one tokenizer (one fitting)."""

    key: str
    rows: tuple[Row, ...]

    @property
    def about(self) -> About:
        """The subject of all of its rows: images or a tokenizer."""
        return self.rows[0].about

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the trials that have to end before this one starts, if they are to be run at all: tokenizer, teacher."""
        if self.about != "images":
            return ()
        assembly = self.rows[0].assembly
        return (assembly.keys.tokenizer, *([assembly.teacher.keys.training] if assembly.teacher else ()))

    @property
    def name(self) -> str:
        """A readable name: its methods (only the first of more than two) and seed, or its tokenizer."""
        assembly = self.rows[0].assembly
        if self.about != "images":
            return f"tokenizer {assembly.recipe.tokenizer or assembly.spelled[TOKENIZER]}"
        methods = list(dict.fromkeys(row.method for row in self.rows))
        named = " + ".join(methods) if len(methods) < 3 else f"{methods[0]} and {len(methods) - 1} more"
        return f"{named} (seed {assembly.recipe.seed})"


def plan_study(registry: Registry, study: Study, store: Store, retry: bool = False, refuse: bool = True) -> list[Row]:
    """All rows of a study in the order in which they are computed: of tokenizers, of teachers, of recipes.

    Arguments and exceptions are those of `plan_rows`.
    """
    rows = plan_rows(registry, study, store, retry, refuse)
    rows = [*plan_teachers(rows, store, retry), *rows]
    return [*plan_tokenizers(rows, store, retry), *rows]


def plan_rows(registry: Registry, study: Study, store: Store, retry: bool = False, refuse: bool = True) -> list[Row]:
    """Every distinct recipe of a study, assembled; failed rows are kept too, unless `retry`.

    Raises:
        UserError: if a recipe names an unknown component, or, with `refuse`, the study sets a field that no recipe uses or no
            recipe has parts that can be built.
    """
    rows: dict[str, Row] = {}
    store.notes += study.notes
    for method, recipe in study.expand():
        assembly = assemble(registry, recipe, study.given.get(method, FIELDS.keys()))
        if assembly.recipe.weights and not assembly.unfit:
            assembly = replace(assembly, unfit=_misfit(store, assembly))
        standing = None if assembly.unfit else _standing(store, assembly.keys.run, retry)
        rows.setdefault(assembly.keys.run, Row(method, assembly, standing))
    waiting = [row.assembly for row in rows.values() if not row.standing and not row.assembly.unfit]
    store.notes += [*_left_out(rows.values()), *foreseen(waiting), *_former(rows, store)]
    if refuse and rows and all(row.assembly.unasked or row.assembly.refused for row in rows.values()):
        raise UserError(next(iter(rows.values())).assembly.unfit)
    return list(rows.values())


def _left_out(rows: Iterable[Row]) -> list[str]:
    """Sentences about metrics that will be left out of rows to compute."""
    found: dict[str, int] = {}
    for row in rows:
        for reason in () if row.standing else row.assembly.left_out:
            found[reason] = found.get(reason, 0) + 1
    return [f"a metric will be left out of {counted(count, 'row')}: {why}" for why, count in found.items()]


def _former(rows: Mapping[str, Row], store: Store) -> list[str]:
    """A sentence about finished rows of these methods with keys of an earlier version, if some will be computed again."""
    methods = {row.method for row in rows.values() if not row.standing and not row.assembly.unfit}
    count = former_rows(store.layout, methods, rows) if methods else 0
    what = f"{counted(count, 'finished row')} of {', '.join(sorted(methods))}"
    return [f"{what} in {store.root} with keys of an earlier version, {FORMER}"] if count else []


def _misfit(store: Store, assembly: Assembly) -> str:
    """The reason why imported weights do not fit a recipe; empty if they do, or are stored as a model already."""
    found = with_weights(store.layout, assembly.recipe.weights)
    if found is None:
        there = store.complete(store.layout.model(assembly.keys.training))
        return "" if there else f"its weights are not in {store.root}; import them again with 'mgbench import'"
    origin, space = found.origin, token_space(assembly.parts, assembly.data)
    wanted = (origin.classes, origin.tokens, origin.dim, origin.codes)
    given = (assembly.classes, space.length, space.dim if space.codes is None else 0, space.codes or 0)
    if wanted == given:
        return ""
    return (
        f"the weights of {found.name} are for {_needs(*wanted)}, and {assembly.spelled['dataset']} with "
        f"{assembly.spelled['tokenizer']} has {_needs(*given)}; set dataset and tokenizer"
    )


def _needs(classes: int, tokens: int, dim: int, codes: int) -> str:
    return f"{classes} classes and {tokens} tokens of {f'{codes} codes' if codes else f'{dim} numbers'}"


def plan_tokenizers(rows: Iterable[Row], store: Store, retry: bool = False) -> list[Row]:
    """One row for each tokenizer that these rows use and each way in which it is scored.

    A stored record is kept as in `plan_rows`, unless a model is to be trained and the tokenizer itself is not stored.
    """
    users: dict[str, list[Row]] = {}
    for row in rows:
        if not row.assembly.unfit:
            users.setdefault(row.assembly.keys.reconstruction, []).append(row)
    found = []
    for key, group in users.items():
        tokenizer = store.layout.tokenizer(group[0].assembly.keys.tokenizer)
        needed = not all(row.standing for row in group)
        standing = _standing(store, key, retry)
        if standing == "done" and needed and not store.complete(tokenizer):
            standing = None
        found.append(replace(group[0], method=TOKENIZER, standing=standing, about="tokenizer"))
    return found


def plan_teachers(rows: Iterable[Row], store: Store, retry: bool = False) -> list[Row]:
    """A row for every teacher of these rows, including teachers of teachers, before their students.

    Its recipe is that of its method, scored like the students; it is left out if it is one of the rows.
    """
    rows = list(rows)
    known, found = {row.key for row in rows}, dict[str, Row]()
    for row in rows:
        student = row
        while student.assembly.teacher and not student.assembly.unfit:
            teacher, method = student.assembly.teacher, f"{student.assembly.recipe.teacher} (teacher)"
            student = Row(method, teacher, _standing(store, teacher.keys.run, retry))
            if student.key not in known:
                found.setdefault(student.key, student)
    return list(reversed(found.values()))


def _standing(store: Store, key: str, retry: bool) -> Status | None:
    """The status of a stored record that is kept; None if the row is to be computed."""
    found = store.record(key)
    stands = ("done",) if retry else ("done", *FAILED)
    return found.status if found is not None and found.status in stands else None


def plan_trials(rows: Iterable[Row]) -> list[Trial]:
    """The rows to compute, grouped by the model or tokenizer they share, in the order of the study."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if not row.standing and not row.assembly.unfit:
            groups.setdefault(row.trial, []).append(row)
    return [Trial(key, tuple(group)) for key, group in groups.items()]
