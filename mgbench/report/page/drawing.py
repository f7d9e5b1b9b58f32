"""Draw all pictures of a report, by one process or several."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread

from mgbench.machine import context
from mgbench.report.figures.picture import Picture
from mgbench.report.page.pictures import Embedded, embed

# Pictures for each process: fewer are drawn sooner than another process has imported what it draws with.
EACH = 4
Numbered = tuple[int, Picture]


def draw_pictures(pictures: list[Picture], output: Path, paper: bool = False, processes: int = 1) -> list[Embedded]:
    """Draw pictures as `embed` does, by up to so many processes."""
    helpers = min(processes, len(pictures) // EACH) - 1
    if helpers < 1:
        return list(embed(pictures, output, paper))
    drawn = _together(pictures, output, paper, helpers)
    # What a helper had taken when the system ended it.
    drawn |= {number: _drawn(picture, output, paper) for number, picture in enumerate(pictures) if number not in drawn}
    return list(chain.from_iterable(drawn[number] for number in range(len(pictures))))


def _together(pictures: list[Picture], output: Path, paper: bool, helpers: int) -> dict[int, list[Embedded]]:
    """Draw pictures from the last one on, while helpers, which import for a second, draw them from the first one on."""
    waiting, drawn = deque(enumerate(pictures)), dict[int, list[Embedded]]()
    with ProcessPoolExecutor(helpers, context(), _begin) as pool, ThreadPoolExecutor(helpers) as askers:

        def ask() -> None:
            with suppress(BrokenExecutor):
                for number, picture in _taken(waiting.popleft):
                    drawn[number] = pool.submit(_drawn, picture, output, paper).result()

        asked = [askers.submit(ask) for _ in range(helpers)]
        try:
            drawn.update((number, _drawn(picture, output, paper)) for number, picture in _taken(waiting.pop))
        finally:
            waiting.clear()
        for task in asked:
            task.result()
    return drawn


def _taken(take: Callable[[], Numbered]) -> Iterator[Numbered]:
    """Pictures that no process has taken yet."""
    with suppress(IndexError):
        while True:
            yield take()


def _begin() -> None:
    """Leave Ctrl-C, which reaches every process, to the one that asked for help; and end with it, should it be killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # The queue of an executor would be waited for without end.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _drawn(picture: Picture, output: Path, paper: bool) -> list[Embedded]:
    return list(embed([picture], output, paper))
