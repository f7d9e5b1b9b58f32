"""Which rows refer to what is stored, and what goes when rows go."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgbench.errors import UserError
from mgbench.results.layout import Layout
from mgbench.results.maintenance.inventory import (
    referred,
    removal,
    remove,
    size,
    stored_records,
    unused,
)
from mgbench.results.record import Record
from mgbench.results.store import FACTS, Store
from tests.report.synthetic import record, store, store_study, tokenizer

DATA, SEEN = "ab12cd34", "digits_cnn@3f2a"
SPEC = "patch(size=2)"


def row(method: str = "emigm", steps: int = 8, seed: int = 0, **changes: Any) -> Record:
    return record(method, steps, seed, recipe={"tokenizer": SPEC, "dataset": "digits"}, **changes)


def of_tokenizer(spec: str = SPEC, key: str = "tok1") -> Record:
    return replace(tokenizer(spec), training_key=key, protocol=f"digits/{SEEN}")


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def reference(root: Path, key: str, data: str = DATA, extractor: str = SEEN) -> Path:
    facts = {"data": data, "split": "train", "images": [1], "extractor": ["DigitsCnn()", extractor, "f"]}
    return put(Layout(root).reference(key) / FACTS, json.dumps(facts)).parent


@pytest.fixture
def full(tmp_path: Path) -> Layout:
    """Two models of two rows each, their tokenizer, and everything that they refer to."""
    layout = Layout(tmp_path)
    rows = [row(method, steps) for method in ("emigm", "maskgit") for steps in (4, 8)]
    store(tmp_path, *rows, of_tokenizer())
    for key in {found.training_key for found in rows}:
        put(layout.model(key) / "model.safetensors", "weights")
        put(layout.log(key), "log")
    put(layout.tokenizer("tok1") / "tokenizer.safetensors")
    put(layout.log("tok1"))
    put(layout.real(DATA))
    reference(tmp_path, "ref1")
    store_study(tmp_path, "both", [(found.key, found.method) for found in (*rows, of_tokenizer())])
    store_study(tmp_path, "one", [(found.key, found.method) for found in rows if found.method == "emigm"])
    return layout


def keys(layout: Layout, method: str) -> list[str]:
    return [key for key, found in stored_records(layout).items() if found.method == method]


def files(layout: Layout) -> set[str]:
    return {str(path.relative_to(layout.root)) for path in layout.root.rglob("*") if path.is_file()}


def test_rows_refer_to_their_model_tokenizer_reference_log_and_real_images(full: Layout) -> None:
    known = list(stored_records(full).values())
    (first, *_) = [found for found in known if found.method == "emigm"]
    model = first.training_key
    assert referred(full, [first], known) == {
        full.model(model),
        full.log(model),
        full.tokenizer("tok1"),
        full.log("tok1"),
        full.reference("ref1"),
        full.real(DATA),
    }


def test_a_row_that_was_skipped_refers_to_nothing(full: Layout) -> None:
    assert referred(full, [row("emigm", 4, status="skipped", protocol="")], []) == set()


def test_one_of_two_rows_of_a_model_leaves_the_model(full: Layout) -> None:
    gone = removal(full, keys(full, "emigm")[:1])
    assert len(gone.rows) == 1
    assert gone.along == ()
    assert set(gone.shared) == {"both", "one"}
    before = files(full)
    remove(gone.paths)
    assert before - files(full) == {f"runs/{gone.rows[0].key}/record.json"}


def test_the_last_row_of_a_model_takes_it_along_and_the_study_of_which_nothing_is_left(full: Layout) -> None:
    gone = removal(full, keys(full, "emigm"))
    model = gone.rows[0].training_key
    assert set(gone.along) == {full.model(model), full.log(model), full.study("one")}
    assert gone.shared == ("both",)


def test_the_log_of_a_study_in_the_background_stays_and_goes_with_it(full: Layout) -> None:
    log = put(full.log("one"))
    assert unused(full).along == ()
    assert log in removal(full, keys(full, "emigm")).along
    assert log not in removal(full, keys(full, "maskgit")).along


def test_every_row_takes_everything_along(full: Layout) -> None:
    remove(removal(full, list(stored_records(full))).paths)
    assert files(full) == set()


def test_a_tokenizer_stays_for_the_rows_on_top_of_it_and_goes_with_the_last(full: Layout) -> None:
    remove(removal(full, keys(full, "tokenizer")).paths)
    assert full.tokenizer("tok1").exists()
    remove(removal(full, keys(full, "emigm")).paths)
    assert full.tokenizer("tok1").exists()
    remove(removal(full, keys(full, "maskgit")).paths)
    assert not full.tokenizer("tok1").exists()


def test_a_tokenizer_of_another_spec_or_of_other_data_is_not_referred_to(full: Layout) -> None:
    store(full.root, of_tokenizer("patch(size=4)", "tok2"), replace(of_tokenizer(SPEC, "tok3"), data="other", key="k3"))
    for key in ("tok2", "tok3"):
        put(full.tokenizer(key) / "tokenizer.safetensors")
    known = list(stored_records(full).values())
    found = referred(full, [row()], known)
    assert full.tokenizer("tok1") in found
    assert full.tokenizer("tok2") not in found
    assert full.tokenizer("tok3") not in found


def test_a_reference_of_other_data_or_another_extractor_is_not_referred_to(full: Layout) -> None:
    others = [reference(full.root, "ref2", data="other"), reference(full.root, "ref3", extractor="inception@1234")]
    known = list(stored_records(full).values())
    assert not referred(full, known, known) & set(others)
    unfinished = row(status="interrupted", protocol="")
    assert others[1] in referred(full, [unfinished], known), "it may be measured against it when it goes on"


def test_what_is_not_referred_to_by_what_goes_is_left_alone(full: Layout) -> None:
    """The model that another process trains has no row yet."""
    training = put(full.model("training") / "checkpoint.pt")
    remove(removal(full, list(stored_records(full))).paths)
    assert training.exists()


def test_what_no_row_refers_to_is_found(full: Layout) -> None:
    assert unused(full).along == ()
    lost = {
        put(full.model("lost") / "model.safetensors").parent,
        put(full.log("lost")),
        put(full.real("lost")),
        put(full.tokenizer("lost") / "t").parent,
        reference(full.root, "lost", data="lost"),
    }
    put(full.model("set-aside") / "x").parent.rename(full.model("x.corrupt"))
    assert set(unused(full).along) == lost


def test_a_record_in_the_folder_of_another_is_not_its_record(full: Layout) -> None:
    (key,) = keys(full, "emigm")[:1]
    full.run(key).rename(full.run("copied"))
    assert key not in stored_records(full)
    assert "copied" not in stored_records(full)


@pytest.mark.parametrize("name", ["../../outside", "..", "../models", "{outside}", ""])
def test_names_that_lead_out_of_the_folder_remove_nothing_there(tmp_path: Path, name: str) -> None:
    """A record is no proof of where it comes from."""
    outside = put(tmp_path / "outside" / "file")
    root = tmp_path / "results"
    put(root / "models" / "other" / "model.safetensors")
    put(root / "real" / "other.npz")
    evil = replace(row(), training_key=name.format(outside=outside.parent), data=name.format(outside=outside.parent))
    store(root, evil)
    gone = removal(Layout(root), [evil.key])
    assert gone.along == ()
    assert all(path.resolve().is_relative_to(root) for path in gone.paths)
    remove(gone.paths)
    assert outside.exists()


def test_of_a_link_only_the_link_is_removed(tmp_path: Path) -> None:
    kept = put(tmp_path / "elsewhere" / "model.safetensors")
    link = tmp_path / "model"
    link.symlink_to(kept.parent)
    assert size(link) < 1000
    remove([link, tmp_path / "gone already"])
    assert kept.exists()
    assert not link.is_symlink()


def test_the_record_goes_before_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle, a row that lacks files must not look whole."""
    Store(tmp_path).save_record(row(), {"images.npz": lambda path: path.write_text("x") and None})
    folder = Layout(tmp_path).run(row().key)

    def stop(path: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("shutil.rmtree", stop)
    with pytest.raises(UserError, match=r"cannot remove .*: read-only file system"):
        remove([folder])
    assert [path.name for path in folder.iterdir()] == ["images.npz"]
