"""Files that travel: whole, checked, only those that are new, and what speaks of others after them."""

from pathlib import Path

import pytest

from mgbench.engines.ray.file_sync import SyncedFile, Watch, pack, read_by, unpack
from mgbench.results.files import write_text
from mgbench.results.layout import Layout
from mgbench.results.store import CHECKPOINT, Store
from tests.doubles import TINY
from tests.engines.test_local import jobs


def same(content: bytes) -> bytes:
    return content


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write_text(here / "runs" / "a" / "record.json", "{}")
    files = pack(here, [here / "runs" / "a" / "record.json", here / "gone"], same)
    assert [file.path for file in files] == ["runs/a/record.json"]
    unpack(there, files, same)
    assert (there / "runs" / "a" / "record.json").read_text() == "{}"


def test_what_arrives_otherwise_than_it_was_sent_is_not_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "as it was")
    files = pack(tmp_path, [tmp_path / "a"], same)
    with pytest.raises(ValueError, match="a arrived with another checksum"):
        unpack(tmp_path / "there", files, lambda content: content[:-1])
    assert not (tmp_path / "there" / "a").exists()


def test_what_changed_is_told_once_and_seals_come_last(tmp_path: Path) -> None:
    write_text(tmp_path / "known", "1")
    write_text(tmp_path / "models" / "a" / CHECKPOINT, "1")
    watch = Watch(tmp_path)
    assert watch.changed(same) == []
    Store(tmp_path).save_folder(tmp_path / "models" / "a", {"z.bin": lambda path: path.write_bytes(b"z") and None})
    (tmp_path / "models" / "a" / CHECKPOINT).unlink()
    write_text(tmp_path / "known", "2")
    (tmp_path / ".being-written").touch()
    paths = [file.path for file in watch.changed(same)]
    assert sorted(paths) == ["known", "models/a/checkpoint.pt", "models/a/manifest.json", "models/a/z.bin"]
    assert paths[-1] == "models/a/manifest.json"
    assert watch.changed(same) == []


def test_what_is_gone_there_goes_here(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "1")
    watch = Watch(tmp_path)
    (tmp_path / "a").unlink()
    assert watch.changed(same) == [SyncedFile("a")]
    write_text(tmp_path / "there" / "a", "1")
    unpack(tmp_path / "there", [SyncedFile("a")], same)
    assert not (tmp_path / "there" / "a").exists()


def test_a_trial_of_images_reads_its_tokenizer_and_how_far_its_model_is(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, tiny=TINY)
    assert read_by(job) == []
    layout = Layout(tmp_path)
    mine = [layout.model(job.key) / CHECKPOINT, layout.tokenizer(job.needs[0]) / "tokenizer.safetensors"]
    others = [
        *(layout.model("other") / CHECKPOINT, layout.tokenizer("other") / "tokenizer.safetensors"),
        *(layout.model(job.key) / ".checkpoint.pt.x", layout.model(job.key) / "model.safetensors.corrupt"),
    ]
    for path in (*mine, *others):
        write_text(path, "x")
    assert sorted(read_by(job)) == sorted(mine)
