"""A record is what was written, or it is refused: cut short, changed, foreign and newer files are all noticed."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgbench.errors import UserError
from mgbench.results.layout import Layout
from mgbench.results.record import About, Record, StudyView, as_content, ending, load_record, load_study
from mgbench.results.schema import MANIFESTS, RECORDS, SCHEMA, STUDIES, Corrupt, Newer, read_sealed, seal, unseal

RECORD = Record(
    key="k" * 16,
    training_key="t" * 16,
    method="emigm",
    status="done",
    recipe={"mask_schedule": "exp(rate=5.0)", "solver": None, "metrics": ["fid"], "seed": 0},
    scores={"fid[digits_cnn]": 1.0 / 3, "tiny": 1e-300},
    costs={"nfe": 8.0},
    warnings=["γ < 0.5 “quoted”"],
    protocol="digits@0123/train/n20",
)


# As the versions that had these schemas wrote them; "late" ones had what is new in the next before they raised the schema.
STORED = Path(__file__).parent / "stored"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_sealed_is_unsealed_the_same() -> None:
    content = {"b": [1, 2.5, None, True], "a": {"γ": "\n"}, "z": 1e-300}
    assert unseal(seal(content)) == content


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert load_record(write(tmp_path / "r.json", seal(as_content(RECORD)))) == RECORD


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_survives(tmp_path: Path, value: float) -> None:
    record = replace(RECORD, scores={"fid": value})
    assert load_record(write(tmp_path / "r.json", seal(as_content(record)))) == record


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    view = StudyView("grid", (("k1", "emigm"), ("k2", "maskgit")), "mgbench run")
    assert load_study(write(tmp_path / "s.json", seal(as_content(view)))) == view
    cited = replace(view, references="@misc{a,\n}")
    assert load_study(write(tmp_path / "s.json", seal(as_content(cited)))) == cited


def test_a_log_ends_in_lines_that_say_something() -> None:
    text = "begun\n" + "".join(f"  File {n}\n    call()\n    ~~~~^^\n\n" for n in range(9)) + "ValueError: no\n"
    kept = ending(text).splitlines()
    assert (len(kept), kept[-3:]) == (12, ["  File 8", "    call()", "ValueError: no"])
    assert ending("") == ""


def test_a_text_cut_short_at_any_length_is_corrupt() -> None:
    text = seal(as_content(RECORD))
    for length in range(len(text)):
        with pytest.raises(Corrupt):
            unseal(text[:length])


@pytest.mark.parametrize("bit", [0, 3, 6])
def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(tmp_path: Path, bit: int) -> None:
    whole = seal(as_content(RECORD)).encode()
    path, schema = tmp_path / "r.json", whole.index(b'"schema": ') + len('"schema": ')
    for place in range(len(whole)):
        if place == schema:
            continue
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
        try:
            read = load_record(path)
        except Corrupt:
            continue
        assert read == RECORD, f"byte {place}"


def test_most_flipped_bits_are_corrupt() -> None:
    """The check above would also pass if nothing were ever noticed and nothing changed."""
    text = seal(as_content(RECORD))
    with pytest.raises(Corrupt, match="checksum"):
        unseal(text.replace("exp(rate=5.0)", "exp(rate=6.0)"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "3",
        "[]",
        "{}",
        '"text"',
        '{"schema": 1, "sha256": "", "content": 1}',
        '{"schema": "1", "sha256": "", "content": 1}',
        '{"schema": null, "sha256": "", "content": 1}',
        "\x00" * 100,
    ],
)
def test_a_foreign_text_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        unseal(text)


@pytest.mark.parametrize("content", [[1], 3, None, {"key": "k"}, {**as_content(RECORD), "unheard_of": 1}])
def test_a_sealed_text_that_is_no_record_is_corrupt(tmp_path: Path, content: object) -> None:
    with pytest.raises(Corrupt):
        load_record(write(tmp_path / "r.json", seal(content)))


@pytest.mark.parametrize("content", [[1], {"name": "grid"}, as_content(RECORD)])
def test_a_sealed_text_that_is_no_study_is_corrupt(tmp_path: Path, content: object) -> None:
    with pytest.raises(Corrupt):
        load_study(write(tmp_path / "s.json", seal(content)))


def test_bytes_that_are_no_text_are_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(b"\xff\xfe\x00\x80" * 20)
    with pytest.raises(Corrupt):
        load_record(path)


def test_a_newer_schema_is_refused_with_a_sentence(tmp_path: Path) -> None:
    envelope = json.loads(seal(as_content(RECORD)))
    text = json.dumps({**envelope, "schema": SCHEMA + 1, "more": 1})
    with pytest.raises(
        UserError, match=rf"newer mgbench \(schema {SCHEMA + 1}, this one reads {SCHEMA}\); update mgbench"
    ):
        load_record(write(tmp_path / "r.json", text))


def test_a_record_that_is_not_there_is_not_corrupt(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_record(tmp_path / "r.json")


def test_everything_lies_under_the_root(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    places = [
        layout.run("k"),
        layout.model("k"),
        layout.tokenizer("k"),
        layout.real("k"),
        layout.study("k"),
        layout.log("k"),
    ]
    assert len(set(places)) == len(places)
    assert all(place.is_relative_to(tmp_path) for place in places)


@pytest.mark.parametrize("upgrades", [RECORDS, STUDIES, MANIFESTS])
def test_every_schema_before_this_one_has_its_step(upgrades: Mapping[int, object]) -> None:
    assert set(upgrades) == set(range(1, SCHEMA))


@pytest.mark.parametrize("path", sorted(STORED.glob("record-*.json")), ids=lambda path: path.stem)
def test_a_record_of_every_schema_is_read_as_one_of_this(path: Path) -> None:
    late, schema = path.stem.endswith("late"), int(path.stem.split("-")[1])
    record = load_record(path)
    assert record.about == ("tokenizer" if late else "images")
    assert record.files == ({"images.npz": "ab" * 32} if schema >= 3 else {})
    assert (record.key, record.status, record.scores) == (
        "3fa9c1d2e4b50617",
        "done",
        {"fid[digits_cnn]": 1 / 3, "kid[digits_cnn]": 1e-300},
    )
    assert record.warnings == ["γ < 0.5 “quoted”"]
    assert record.recipe["metrics"] == ["fid", "kid"]
    assert record.origin["threads"] == 1
    assert record.tail == ("RuntimeError: two tensors disagree" if schema >= 4 else "")
    assert record.keys.get("model") == ("77c0ffee12345678" if schema >= 5 else None)
    assert record.declared == {
        "fid[digits_cnn]": {"label": "FID", "better": "lower"},
        "kid[digits_cnn]": {"label": "KID", "better": "lower"},
    }


@pytest.mark.parametrize(
    ("about", "was", "now"),
    [("images", True, "balanced"), ("images", False, "uniform"), ("tokenizer", None, "balanced")],
)
def test_a_record_of_schema_6_says_by_a_word_how_labels_were_drawn(
    tmp_path: Path, about: About, was: bool | None, now: str
) -> None:
    old = replace(RECORD, about=about, recipe={"seed": 0, "balanced_labels": was})
    assert load_record(write(tmp_path / "r.json", sealed_as(6, as_content(old)))).recipe == {
        "seed": 0,
        "label_distribution": now,
    }


@pytest.mark.parametrize("path", sorted(STORED.glob("study-*.json")), ids=lambda path: path.stem)
def test_a_study_of_every_schema_is_read_as_one_of_this(path: Path) -> None:
    rows = (("3fa9c1d2e4b50617", "emigm"), ("95c9e881bb74ec65", "tokenizer"))
    cited = "" if path.stem == "study-1" else "@misc{a,\n}\n"
    schema = int(path.stem.split("-")[1])
    packages = ("numpy==2.1", "torch==2.11") if schema >= 4 else ()
    said = {"source": "arXiv 2503.07197", "better": "method=emigm", "than": "method=maskgit", "costs": ["nfe"]}
    claim = {"name": "weighting", "says": "One beats the other.", "at": ["sampling_steps=4"], "metric": "fid", **said}
    claims = ({**claim, "margin": 0.05},) if schema >= 9 else ()
    assert load_study(path) == StudyView("grid", rows, "mgbench run grid.toml", cited, packages, claims)


@pytest.mark.parametrize("path", sorted(STORED.glob("manifest-*.json")), ids=lambda path: path.stem)
def test_a_manifest_of_every_schema_is_read_as_one_of_this(path: Path) -> None:
    assert read_sealed(path) == {"files": {"model.safetensors": "cd" * 32}}


@pytest.mark.parametrize(("kind", "made"), [("record", RECORD), ("study", StudyView("grid", ()))])
def test_there_is_a_stored_text_of_every_schema_and_what_this_one_writes_is_what_it_wrote(
    kind: str, made: Record | StudyView
) -> None:
    """Who changes what a record or a study holds raises SCHEMA, adds a step, and keeps a text of the new schema here."""
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in STORED.glob(f"{kind}-*.json")]
    assert {text["schema"] for text in texts} == set(range(1, SCHEMA + 1))
    (newest,) = (text["content"] for text in texts if text["schema"] == SCHEMA)
    assert set(newest) == set(as_content(made))


@pytest.mark.parametrize("path", sorted(STORED.glob("*.json")), ids=lambda path: path.stem)
def test_an_older_text_is_checked_before_it_is_upgraded(tmp_path: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "3fa9c1" in text or "cdcd" in text
    changed = text.replace("3fa9c1", "3fa9c2").replace("cdcd", "cdce")
    with pytest.raises(Corrupt, match="checksum"):
        read_sealed(write(tmp_path / "changed.json", changed))


def sealed_as(schema: object, content: object) -> str:
    body = json.dumps(content, indent=1, sort_keys=True)
    return json.dumps({"schema": schema, "sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content})


@pytest.mark.parametrize("schema", [0, -1, False])
def test_a_schema_that_never_was_is_corrupt(schema: object) -> None:
    with pytest.raises(Corrupt, match="schema"):
        unseal(sealed_as(schema, as_content(RECORD)), RECORDS)


@pytest.mark.parametrize("content", [None, 3, [1], "text"])
@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_what_is_no_record_of_any_schema_is_corrupt(tmp_path: Path, schema: int, content: object) -> None:
    with pytest.raises(Corrupt):
        load_record(write(tmp_path / "r.json", sealed_as(schema, content)))
    with pytest.raises(Corrupt):
        load_study(write(tmp_path / "s.json", sealed_as(schema, content)))


def test_steps_are_taken_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(number: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda content: {"taken": [*content["taken"], number]}

    monkeypatch.setattr("mgbench.results.schema.SCHEMA", 5)
    steps = {number: step(number) for number in (4, 1, 3, 2)}
    assert unseal(sealed_as(2, {"taken": []}), steps) == {"taken": [2, 3, 4]}
    assert unseal(sealed_as(5, {"taken": []}), steps) == {"taken": []}
    with pytest.raises(Newer):
        unseal(sealed_as(6, {"taken": []}), steps)


def test_what_is_no_file_is_corrupt_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(Corrupt, match="no file"):
            load_record(tmp_path / name)


def test_below_a_file_there_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_record(write(tmp_path / "file", "") / "r.json")


def test_a_disk_that_gives_nothing_back_is_corrupt_and_a_refusal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "r.json", seal(as_content(RECORD)))
    for number, raised in ((errno.EIO, Corrupt), (errno.EACCES, UserError)):

        def fail(self: Path, number: int = number, **rest: object) -> str:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "read_text", fail)
        with pytest.raises(raised, match=r"cannot (be )?read"):
            load_record(path)
