"""Teams of several processes: their messages, and the handling of a rank that fails.

Rank 0 has a pipe to each other rank. A message carries the number of its task, so that messages left over from an
abandoned task are not mistaken for part of the next. The engine that started the processes notices one that dies, and
ends its team.
"""

import gc
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar, cast
from unittest.mock import patch

import torch

from mgbench.interfaces.progress import Interrupted
from mgbench.interfaces.ranks import RankFailed, RankRanOut, Task, Team
from mgbench.stages.memory import ran_out

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

T = TypeVar("T")

HERE = "127.0.0.1"
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
# Timeout of a collective: rank 0 may be writing a large checkpoint meanwhile.
COLLECTIVE_SECONDS = 600.0
# Time that rank 0, whose share failed, waits for the others to end theirs: they may be waiting for its gradients.
ENDING_SECONDS = 10.0
# Time that a rank waits to be ended by the engine, or by rank 0, which may be waiting for its gradients and read no message.
PATIENCE = 60.0


@dataclass(frozen=True)
class Failure:
    """The error of a rank: its message, whether memory ran out, its time (monotonic seconds) and its traceback."""

    message: str
    ran_out: bool
    at: float
    where: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The failure that describes an exception."""
        said = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
        return cls(said, ran_out(error), time.monotonic(), "".join(traceback.format_exception(error)))


@dataclass(frozen=True)
class Order:
    task: Task


@dataclass(frozen=True)
class Value:
    content: Any


@dataclass(frozen=True)
class GivenUp:
    """Message: rank 0 has abandoned the task."""


@dataclass(frozen=True)
class Ended:
    """Message: a rank has finished its share, or failed."""

    failure: Failure | None


class Abandoned(Exception):
    """Raised in the other ranks when rank 0 abandons the task."""


def _send(pipe: Connection, number: int, message: object) -> None:
    # Not `pipe.send`, which would send tensors as handles of shared memory.
    pipe.send_bytes(pickle.dumps((number, message)))


def _receive(pipe: Connection, number: int) -> Any:
    """The next message of a task, or of a later task; older ones are dropped."""
    while True:
        of, message = pickle.loads(pipe.recv_bytes())
        if of >= number:
            return message


def _meeting(port: int, size: int, is_master: bool) -> "TCPStore":
    """The key-value store at which ranks rendezvous; the master opens it on a free port where `port` is 0."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    return TCPStore(HERE, port, size, is_master, wait_for_workers=False)


@contextmanager
def _group(device: torch.device, rank: int, size: int, store: "TCPStore") -> Iterator[None]:
    """A process group: NCCL on GPUs, else gloo on loopback."""
    from torch import distributed

    # A mesh of devices takes the local rank for the index of the GPU.
    local = rank if device.index is None else device.index
    with patch.dict(os.environ, GLOO_SOCKET_IFNAME=LOOPBACK, LOCAL_RANK=str(local)):
        backend = "nccl" if device.type == "cuda" else "gloo"
        if device.type == "cuda":
            torch.cuda.set_device(device)
        seconds = timedelta(seconds=COLLECTIVE_SECONDS)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=seconds)
        try:
            yield
        except BaseException:
            # An orderly shutdown would wait for the other ranks.
            distributed.distributed_c10d._get_default_group().abort()
            raise
        finally:
            distributed.destroy_process_group()


class First(Team):
    """Rank 0 of several, with a pipe to each other rank."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        super().__init__(0, 1 + len(pipes))
        self._pipes = dict(enumerate(pipes, 1))
        self._task = 0
        self._ended: dict[int, Failure | None] = {}

    def gather(self, value: T) -> list[T]:
        return [value, *(self._value(rank) for rank in self._pipes)]

    def broadcast(self, value: T) -> T:
        self._tell(Value(value))
        return value

    def scatter(self, values: Sequence[T]) -> T:
        for rank in self._pipes:
            self._tell_one(rank, Value(values[rank]))
        return values[0]

    @contextmanager
    def running(self, task: Task) -> Iterator[None]:
        self._task, self._ended = self._task + 1, {}
        self._tell(Order(task))
        try:
            yield
        except BaseException as error:
            own = None if isinstance(error, Interrupted) else Failure.of(error)
            self._tell(GivenUp())
            failures = self._ends(ENDING_SECONDS)
            # An error here that follows from an earlier one of another rank is not the cause.
            if own and (earlier := {r: f for r, f in failures.items() if f.at < own.at and f.message != own.message}):
                raise _first_of(earlier) from None
            raise
        if failures := self._ends(COLLECTIVE_SECONDS):
            raise _first_of(failures)

    @contextmanager
    def group(self, device: torch.device) -> Iterator[None]:
        store = _meeting(0, self.size, is_master=True)
        self.broadcast(store.port)
        with _group(device, self.rank, self.size, store):
            yield
            self.all_gather(None)

    def _value(self, rank: int) -> Any:
        message = self._hear(rank)
        if isinstance(message, Ended):
            self._ended[rank] = message.failure
            raise _first_of({rank: message.failure or Failure("it ended before the others", False, time.monotonic())})
        return message.content

    def _ends(self, seconds: float) -> dict[int, Failure]:
        """Wait until the other ranks have ended their shares, at most `seconds` for each; their failures, by rank."""
        for rank, pipe in self._pipes.items():
            while rank not in self._ended and pipe.poll(seconds):
                message = self._hear(rank)
                if isinstance(message, Ended):
                    self._ended[rank] = message.failure
        return {rank: failure for rank, failure in self._ended.items() if failure}

    def _tell(self, message: object) -> None:
        for rank in self._pipes:
            self._tell_one(rank, message)

    def _tell_one(self, rank: int, message: object) -> None:
        try:
            _send(self._pipes[rank], self._task, message)
        except OSError:
            _wait_for_the_end(rank)

    def _hear(self, rank: int) -> Any:
        try:
            return _receive(self._pipes[rank], self._task)
        except (OSError, EOFError):
            _wait_for_the_end(rank)


def _first_of(failures: dict[int, Failure]) -> RankFailed:
    rank = min(failures, key=lambda rank: failures[rank].at)
    kind = RankRanOut if failures[rank].ran_out else RankFailed
    error = kind(f"rank {rank}: {failures[rank].message}")
    error.add_note(failures[rank].where)
    return error


def _wait_for_the_end(rank: int) -> None:
    """Wait for the engine, which knows why the process of a rank died, to end this process too.

    Raises:
        RankFailed: if it does not within a minute.
    """
    time.sleep(PATIENCE)
    raise RankFailed(f"rank {rank}: its process has ended")


class Other(Team):
    """A rank other than 0, which executes the tasks that rank 0 sends."""

    def __init__(self, rank: int, size: int, pipe: Connection) -> None:
        super().__init__(rank, size)
        self.pipe, self._task, self._averages = pipe, 0, False

    def gather(self, value: T) -> list[T]:
        _send(self.pipe, self._task, Value(value))
        return []

    def broadcast(self, value: T) -> T:
        try:
            message = _receive(self.pipe, self._task)
        except (OSError, EOFError):
            message = GivenUp()
        if isinstance(message, GivenUp):
            raise Abandoned
        content: T = message.content
        return content

    def scatter(self, values: Sequence[T]) -> T:
        # What rank 0 gives, it sends as one value to each.
        return self.broadcast(cast("T", None))

    @contextmanager
    def group(self, device: torch.device) -> Iterator[None]:
        self._averages = True
        store = _meeting(self.broadcast(0), self.size, is_master=False)
        with _group(device, self.rank, self.size, store):
            yield
            self.all_gather(None)

    def serve(self, do: Callable[[Task], None]) -> None:
        """Execute the tasks of rank 0 until it exits."""
        # The exit of rank 0 is no failure of this rank.
        with suppress(EOFError, OSError):
            while True:
                number, message = pickle.loads(self.pipe.recv_bytes())
                if isinstance(message, Order):
                    self._task, self._averages = number, False
                    self._answer(_attempt(do, message.task))

    def _answer(self, failure: Failure | None) -> None:
        # Free the process group that frames of the failed task hold, so that ranks that wait for its gradients are disconnected.
        gc.collect()
        _send(self.pipe, self._task, Ended(failure))
        if failure and self._averages and not self.pipe.poll(PATIENCE):
            print(f"rank {self.rank}, for which rank 0 may wait for ever:\n{failure.where}", file=sys.stderr)
            os._exit(1)


def _attempt(do: Callable[[Task], None], task: Task) -> Failure | None:
    try:
        do(task)
    except (Interrupted, Abandoned):
        pass
    except (Exception, SystemExit) as error:
        # Rank 0 prints the traceback.
        return Failure.of(error)
    return None
