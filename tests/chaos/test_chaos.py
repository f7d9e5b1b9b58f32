"""A few random moments in every run of the tests; `python -m tests.chaos` takes as many as there is time for."""

import shutil
from pathlib import Path

import pytest

from tests import doubles
from tests.chaos.disturb import Chaos, left_behind
from tests.in_process import ran

pytestmark = pytest.mark.slow

STUDY = (
    *("--plugins", doubles.FILE, "--methods", "tiny,gaussian", "--vary", "sampling_steps=1,2"),
    *("--set", "train_steps=60", "--set", "tokenizer=counted"),
)
KILLS, EVENTS = 2, 15


def finished(chaos: Chaos) -> int:
    """Run a study to its end where nothing is killed; the exit code."""
    return ran(chaos.folder, "run", *chaos.study, "--devices", chaos.devices, "--quiet")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Chaos:
    chaos = Chaos(tmp_path_factory.mktemp("calm"), study=STUDY)
    assert finished(chaos) == 0
    return chaos


def test_killed_at_random_moments_a_study_ends_in_the_same_table_and_repeats_nothing(
    calm: Chaos, tmp_path: Path
) -> None:
    wild = Chaos(tmp_path, 1, STUDY)
    done: dict[str, tuple[int, int]] = {}
    for _ in range(KILLS):
        wild.kill(EVENTS)
        now = wild.done()
        assert {key: now[key] for key in done} == done, "a row that was done was made again"
        done = now
    assert wild.finish() == 0
    assert {key: wild.done()[key] for key in done} == done
    assert wild.table() == calm.table()
    assert not left_behind(wild)


def test_damaged_a_study_ends_in_the_same_table(calm: Chaos, tmp_path: Path) -> None:
    wild = Chaos(tmp_path / "wild", 2, STUDY)
    shutil.copytree(calm.folder, wild.folder)
    for _ in range(8):
        wild.damage()
    assert finished(wild) == 0
    assert wild.table() == calm.table()
