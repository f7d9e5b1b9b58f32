"""A progress bar for work that commands do themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgbench.interfaces.progress import Advance


@contextmanager
def progress_bar(what: str) -> "Iterator[Advance]":
    """A callback with the parts of some work that are done and their number, which moves a bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from mgbench.interfaces.progress import Advance

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield Advance(lambda done, total: bar.update(task, completed=done, total=total))
