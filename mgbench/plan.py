"""What a study will do, before it does it: every recipe with its reason to be skipped or its result to be reused, by trial."""

from collections.abc import Iterable
from dataclasses import dataclass

from mgbench.assembly import Assembly, assemble
from mgbench.record import Record
from mgbench.registry import Registry
from mgbench.store import Store
from mgbench.study import Study


@dataclass(frozen=True)
class Row:
    """One recipe of a study."""

    method: str
    assembly: Assembly
    reused: bool = False

    @property
    def key(self) -> str:
        """Where its results live."""
        return self.assembly.keys.run

    def record(self, status: str, reason: str = "", **rest: object) -> Record:
        """A record of this row."""
        keys, spelled = self.assembly.keys, self.assembly.spelled
        data = self.assembly.data.fingerprint
        return Record(keys.run, keys.training, self.method, status, spelled, reason, data=data, **rest)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Trial:
    """The rows that share one trained model: one training, many samplings."""

    training_key: str
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """Its methods and seed, for people."""
        methods = dict.fromkeys(row.method for row in self.rows)
        return f"{' + '.join(methods)} (seed {self.rows[0].assembly.recipe.seed})"


def plan_rows(registry: Registry, study: Study, store: Store) -> list[Row]:
    """Every recipe of a study once, looked up.

    Raises:
        UserError: if a recipe names what does not exist.
    """
    rows: dict[str, Row] = {}
    for method, recipe in study.expand():
        assembly = assemble(registry, recipe)
        found = None if assembly.unfit else store.record(assembly.keys.run)
        reused = found is not None and found.status == "done"
        rows.setdefault(assembly.keys.run, Row(method, assembly, reused))
    return list(rows.values())


def plan_trials(rows: Iterable[Row]) -> list[Trial]:
    """The rows that are to be computed, grouped by the model they share, in the order of the study."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if not row.reused and not row.assembly.unfit:
            groups.setdefault(row.assembly.keys.training, []).append(row)
    return [Trial(key, tuple(group)) for key, group in groups.items()]
