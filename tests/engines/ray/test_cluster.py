"""The side of a cluster run that listens, against a Ray that is told what its actors answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mgbench.engines.ray import cluster
from mgbench.engines.ray import engine as ray
from mgbench.engines.ray.cluster import ActorResources, ClusterRun
from mgbench.engines.ray.engine import Ray, actor_resources
from mgbench.engines.ray.node import Place
from mgbench.errors import UserError
from mgbench.interfaces.engine import End, Event, Job, Leases, Note, RowEnded
from mgbench.interfaces.progress import STOPPED_BY_USER
from mgbench.recipes.recipe import Recipe

HERE = Place("node1", same_code=True, shared=True, lacks=())
ROW = RowEnded("a", "done")
WAITS = object()


class Lost(Exception):
    """As Ray's own: what is said of an actor that died."""


class OwnFault(Lost):
    """An exception in what runs on the node."""


class Answer:
    """Stands for what will be answered."""

    def __init__(self, content: Any) -> None:
        self.content = content


class Actor:
    """Answers to `inspect` and `drain`, one after the other; notes what it is asked."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self.left = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*given: Any) -> Any:
            self.asked.append((name, *given))
            return Answer(self.left.pop(0)) if name in ("inspect", "drain") else None

        return SimpleNamespace(remote=ask)


class Pretended:
    """A Ray whose actors are these, in the order in which they are asked for."""

    exceptions = SimpleNamespace(RayError=Lost, RayTaskError=OwnFault)

    def __init__(self, *actors: Sequence[Any]) -> None:
        self.actors = [Actor(answers) for answers in actors]
        self.started: list[Actor] = []
        self.killed: list[Actor] = []

    def put(self, content: bytes) -> bytes:
        return content

    def remote(self, maker: type) -> Any:
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=self.start))

    def start(self, *given: Any) -> Actor:
        self.started.append(self.actors[len(self.started)])
        return self.started[-1]

    def wait(self, answers: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return [answer for answer in answers if answer.content is not WAITS], []

    def get(self, answer: Any) -> Any:
        if isinstance(answer.content, Exception):
            raise answer.content
        return answer.content

    def kill(self, actor: Actor) -> None:
        self.killed.append(actor)


def opened(fake: Pretended, at_once: float = float("inf")) -> ClusterRun:
    @contextmanager
    def connection() -> Iterator[Any]:
        yield fake

    return ClusterRun(connection(), ActorResources("CPU", 1, at_once), Leases(), look_for_folder=True)


def job(root: Path, name: str = "a", rows: int = 1, needs: tuple[str, ...] = ()) -> Job:
    recipes = tuple((name, Recipe(seed=seed)) for seed in range(rows))
    return Job(name, name, "images", needs, recipes, (), root)


def ends(events: Sequence[Event]) -> dict[str, End]:
    return {event.job.name: event.end for event in events if event.end}


def test_a_trial_whose_node_is_lost_is_started_again_without_the_rows_that_are_told(tmp_path: Path) -> None:
    fake = Pretended([HERE, [ROW], Lost("it died")], [HERE, [ROW, End()]])
    events = list(opened(fake).run([job(tmp_path, rows=2)]))
    assert [event.message for event in events] == [
        ROW,
        Note("a: its node was lost (Lost: it died); it is started again on another"),
        *(ROW, End()),
    ]
    first, again = (next(call[1] for call in actor.asked if call[0] == "start") for actor in fake.started)
    assert [recipe.seed for _, recipe in first.rows] == [0, 1]
    assert [recipe.seed for _, recipe in again.rows] == [1]
    assert set(fake.killed) == set(fake.started)


def test_what_had_told_all_is_done_whether_or_not_its_node_is_lost(tmp_path: Path) -> None:
    assert ends(list(opened(Pretended([HERE, [ROW], Lost()])).run([job(tmp_path)]))) == {"a": End()}


def test_what_takes_three_nodes_down_is_let_go(tmp_path: Path) -> None:
    fake = Pretended(*[[HERE, Lost("first\nout of memory")]] * 3)
    events = list(opened(fake).run([job(tmp_path)]))
    assert ends(events) == {"a": End("failed", "its node was lost 3 times, at last by Lost: out of memory")}


def test_what_fails_on_its_node_is_not_tried_again(tmp_path: Path) -> None:
    fake = Pretended([OwnFault("Traceback\nUserError: no space")])
    assert ends(list(opened(fake).run([job(tmp_path)]))) == {
        "a": End("failed", "its node could not run it: UserError: no space")
    }


def test_a_node_with_other_code_is_refused(tmp_path: Path) -> None:
    (end,) = ends(list(opened(Pretended([Place("old", False, True, ())])).run([job(tmp_path)]))).values()
    assert end.status == "failed"
    assert "the node old has another mgbench" in end.reason


def test_who_has_ended_takes_the_next(tmp_path: Path) -> None:
    """And with it the processes that are warm."""
    fake = Pretended([HERE, [End()], [End()]], [WAITS])
    events = list(opened(fake).run([job(tmp_path, "a"), job(tmp_path, "b")]))
    assert ends(events) == {"a": End(), "b": End()}
    assert [call[0] for call in fake.started[0].asked] == ["inspect", "start", "drain", "start", "drain"]


def test_no_more_run_at_once_than_was_asked_for_and_none_before_what_it_needs(tmp_path: Path) -> None:
    fake = Pretended([HERE, [End()], [End()], [End()]])
    jobs = [job(tmp_path, "a", needs=("c",)), job(tmp_path, "b"), job(tmp_path, "c")]
    started = [event.job.name for event in opened(fake, at_once=1).run(jobs)]
    assert started == ["b", "c", "a"]


def test_the_folder_holds_a_token_while_the_run_lasts(tmp_path: Path) -> None:
    fake = Pretended([HERE, [ROW], [End()]])
    for event in opened(fake).run([job(tmp_path)]):
        tokens = [path.read_text() for path in tmp_path.glob(".shared.*")]
        assert tokens == [fake.started[0].asked[0][1].secret] or event.end
    assert not list(tmp_path.iterdir())


def test_stopped_the_running_are_asked_to_and_those_without_room_are_let_go(tmp_path: Path) -> None:
    fake = Pretended([HERE, [ROW], Lost("too late to say goodbye")], [WAITS])
    run = opened(fake)
    events = []
    for event in run.run([job(tmp_path, "a", rows=2), job(tmp_path, "b"), job(tmp_path, "c", needs="a")]):
        run.stop()
        events.append(event)
    assert ("stop",) in fake.started[0].asked
    assert ends(events) == {"a": End("interrupted", STOPPED_BY_USER)}
    assert {event.job.name for event in events} == {"a"}


def test_who_does_not_say_that_it_ended_at_once_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.0)
    fake = Pretended([HERE, [ROW], WAITS])
    run = opened(fake)
    events = []
    for event in run.run([job(tmp_path)]):
        run.kill()
        events.append(event)
    assert ("kill",) in fake.started[0].asked
    assert ends(events) == {"a": End("interrupted", "it was ended at once")}


def test_when_there_is_room_for_nothing_that_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LONG", -1.0)
    run = opened(Pretended([WAITS]))
    looked = []
    monkeypatch.setattr(Pretended, "wait", lambda self, answers, **_: (looked.append(1), ([], []))[1])
    for event in run.run([job(tmp_path)]):
        assert event.message == Note("a: waiting for a node of the cluster that has room")
        run.stop()
    assert looked


NODES = ({"CPU": 4.0}, {"CPU": 8.0, "GPU": 2.0})


@pytest.mark.parametrize(
    ("devices", "each", "resources"),
    [
        ("auto", 1, ActorResources("GPU", 1)),
        ("cuda", 2, ActorResources("GPU", 2)),
        ("cpu", 8, ActorResources("CPU", 8)),
        ("cpu:4", 2, ActorResources("CPU", 2, 2)),
    ],
)
def test_a_trial_claims_what_the_devices_say(devices: str, each: int, resources: ActorResources) -> None:
    assert actor_resources(Leases(devices, each), NODES) == resources


def test_without_a_gpu_auto_is_cores() -> None:
    resources = actor_resources(Leases("auto", 3), NODES[:1])
    assert resources.options() == {"num_cpus": 3, "num_gpus": 0}
    assert resources.leases(Leases("auto", 3, 5.0)) == Leases("cpu:3", 3, 5.0)
    assert ActorResources("GPU", 2).options() == {"num_cpus": 0, "num_gpus": 2}
    assert ActorResources("GPU", 2).leases(Leases("auto", 2)) == Leases("cuda", 2)


@pytest.mark.parametrize(
    ("devices", "each", "said"),
    [
        ("cuda:1", 1, "which devices of the cluster a trial gets is for Ray to say"),
        ("cuda:0,cuda:1", 1, "take auto, cuda, cpu, or cpu:4"),
        ("cpu:0", 1, "cannot run on 'cpu:0'"),
        ("cuda", 3, "each trial takes 3 GPUs of one node, and the largest node of the cluster has 2"),
        ("cpu", 9, "each trial takes 9 CPUs of one node, and the largest node of the cluster has 8"),
        ("cpu:2", 3, "--devices cpu:2 is too few for --devices-per-trial 3"),
    ],
)
def test_what_no_node_has_is_refused(devices: str, each: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        actor_resources(Leases(devices, each), NODES)


def test_without_its_package_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'mgbench\[ray\]'"):
        Ray().open(Leases())


def test_an_address_of_another_protocol_is_refused_with_what_to_do_instead() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'mgbench[ray]'")
    with pytest.raises(UserError, match="run the command on a machine of the cluster"):
        Ray("ray://head:10001").open(Leases())
