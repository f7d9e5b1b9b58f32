"""A record is what was written, or it is refused: cut short, changed, foreign and newer files are all noticed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.record import SCHEMA, Corrupt, Layout, Record, StudyView, as_content, load_record, load_study, seal, unseal

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


def test_a_study_of_an_earlier_version_has_no_references(tmp_path: Path) -> None:
    view = StudyView("grid", (("k1", "emigm"),), "mgbench run")
    content = {name: value for name, value in as_content(view).items() if name != "references"}
    assert load_study(write(tmp_path / "s.json", seal(content))) == view


def test_what_was_installed_is_kept_with_a_study_and_earlier_ones_have_none(tmp_path: Path) -> None:
    view = StudyView("grid", (("k1", "emigm"),), "mgbench run", "", ("numpy==2.1", "torch==2.11"))
    assert load_study(write(tmp_path / "s.json", seal(as_content(view)))) == view
    earlier = {name: value for name, value in as_content(view).items() if name != "packages"}
    assert load_study(write(tmp_path / "s.json", seal(earlier))) == replace(view, packages=())


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
