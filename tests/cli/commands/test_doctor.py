"""`mgbench doctor`: exits with 1 while something is broken, mends what it can, and says when there are no problems."""

import json
from pathlib import Path

import pytest

from mgbench.results.record import StudyView
from mgbench.results.store import RECORD, Store
from tests.cli.conftest import Command
from tests.report.synthetic import record

ROW = record("emigm", 8, training_key="model1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A row, its model and their study."""
    store = Store(tmp_path / "results")
    store.save_record(ROW)
    store.save_folder(
        store.layout.model("model1"), {"model.safetensors": lambda path: path.write_text("weights") and None}
    )
    store.save_study(StudyView("grid", ((ROW.key, "emigm"),), "mgbench run"))
    return store


def test_all_is_well_and_how_many_files_were_looked_at(mgbench: Command, store: Store) -> None:
    answer = mgbench("doctor")
    assert (answer.code, answer.err) == (0, "")
    assert "broken" not in answer.out
    size = sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file())
    assert answer.out.endswith(f"4 files, {size / 1000:.3g} kB in results checked: no problems found\n")
    for said in ("mgbench 0.", "torch 2.", "plugins: ", "free of"):
        assert said in answer.out


def test_what_is_broken_is_said_and_mended_and_then_all_is_well(mgbench: Command, store: Store) -> None:
    path = store.layout.model("model1") / "model.safetensors"
    path.write_text("weighty")
    answer = mgbench("doctor", "results")
    assert answer.code == 1
    assert (
        "broken: results/models/model1/model.safetensors: its checksum does not match; the model counts" in answer.out
    )
    assert answer.out.endswith("checked: 1 thing broken\n")
    assert path.exists(), "nothing is changed unless it is asked for"

    mended = mgbench("doctor", "--mend")
    assert mended.code == 0
    assert "mended: results/models/model1/model.safetensors is damaged" in mended.out
    assert path.with_name("model.safetensors.corrupt").read_text() == "weighty"

    after = mgbench("doctor")
    assert after.code == 0
    assert "note: 1 file (models/model1/model.safetensors.corrupt) set aside" in after.out
    assert "broken" not in after.out


def test_what_cannot_be_mended_stays_broken(mgbench: Command, store: Store) -> None:
    path = store.layout.run(ROW.key) / RECORD
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    answer = mgbench("doctor", "--mend")
    assert answer.code == 1
    assert "broken: 1 file of a newer mgbench" in answer.out
    assert "update mgbench" in answer.out


def test_a_plugin_that_does_not_load_is_an_error_though_every_file_is_well(
    mgbench: Command, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mgbench.registry.loading import load

    registry = load()
    registry.problems["maskgit"] = "plugin 'maskgit': SyntaxError"
    monkeypatch.setattr("mgbench.registry.loading.load", lambda: registry)
    answer = mgbench("doctor")
    assert answer.code == 1
    assert "broken: plugin 'maskgit': SyntaxError; its methods are missing" in answer.out


def test_before_the_first_run_only_the_surroundings_are_looked_at(mgbench: Command, tmp_path: Path) -> None:
    for mend in ((), ("--mend",)):
        answer = mgbench("doctor", *mend)
        assert answer.code == 0, answer.err
        assert answer.out.endswith("there are no results in results yet: no problems found\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "there are no results in nowhere; name the folder"),
        (("file",), "file is no folder"),
        (("empty",), "there are no results in empty"),
    ],
)
def test_a_folder_that_holds_no_results_is_refused_in_a_sentence(
    mgbench: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    answer = mgbench("doctor", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_on_a_terminal_sentences_are_broken_at_words_beside_their_mark(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mgbench.cli.commands.doctor import _say
    from mgbench.results.maintenance.findings import Finding

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    _say(Finding("a sentence that is somewhat longer than the screen is wide", broken=True))
    out = capsys.readouterr().out
    assert max(map(len, out.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines())) <= 40
    assert "somewhat" in out
    assert "\n        " in out
