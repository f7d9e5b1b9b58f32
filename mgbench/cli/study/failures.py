"""A limit of failed trials, after which a run stops."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mgbench.errors import UserError
from mgbench.results.wording import counted

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Event

# Statuses that are no failure: "interrupted" is what stopping leaves.
FINE = ("done", "skipped", "interrupted")


@dataclass
class FailureLimit:
    """Counts trials with failed rows; reached at `most` of them (None: never)."""

    most: int | None = None
    failed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, fail_fast: bool, max_failures: int | None) -> "FailureLimit":
        """The limit of `--fail-fast` and `--max-failures`.

        Raises:
            UserError: if both are given and differ.
        """
        if fail_fast and max_failures not in (None, 1):
            raise UserError(f"--fail-fast is --max-failures 1, but --max-failures is {max_failures}; leave one out")
        return cls(1 if fail_fast else max_failures)

    @property
    def reached(self) -> bool:
        """True if as many trials failed as the limit allows."""
        return self.most is not None and len(self.failed) >= self.most

    def reaches(self, event: "Event") -> bool:
        """Count an event; True for the one that reaches the limit."""
        from mgbench.interfaces.engine import End, RowEnded

        before = self.reached
        match event.message:
            case End(str() as status) | RowEnded(_, status) if status not in FINE:
                self.failed.add(event.job.key)
        return self.reached and not before

    def sentence(self) -> str:
        """The reason of the stop, and the ways to continue."""
        return (
            f"stopped after {counted(len(self.failed), 'failed trial')}; the same command continues with the other rows, and "
            "--retry-failed computes failed rows again"
        )
