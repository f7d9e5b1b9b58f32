"""docs/reference.md and the schema of study files are what the code says, and the studies of this project keep it."""

import json
import runpy
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = {"reference": "reference.md", "schema": "study.schema.json"}


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "reference.py"))


@pytest.mark.parametrize("what", WRITTEN)
def test_what_is_written_is_what_the_code_says(script: dict[str, Any], what: str) -> None:
    stored = (ROOT / "docs" / WRITTEN[what]).read_text(encoding="utf-8")
    assert stored == script[what](), "run: python scripts/reference.py"


def test_the_tables_of_kinds_say_what_the_code_says(script: dict[str, Any]) -> None:
    for page in script["PAGES"]:
        assert (ROOT / page).read_text(encoding="utf-8") == script["kinds"](page), "run: python scripts/reference.py"


def test_the_protocol_of_every_kind_is_a_name_of_the_package(script: dict[str, Any]) -> None:
    assert script["STUB"].read_text(encoding="utf-8") == script["stub"](), "run: python scripts/reference.py"


def test_the_schema_takes_our_studies_and_refuses_a_typo(script: dict[str, Any]) -> None:
    check = jsonschema.Draft202012Validator(json.loads(script["schema"]()))
    studies = [tomllib.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "studies").rglob("*.toml")]
    example = script["HEAD"].partition("```toml\n")[2].partition("```")[0]
    assert studies
    for study in (*studies, tomllib.loads(example)):
        assert not list(check.iter_errors(study))
    for wrong in (
        {"plugin": ["emigm"]},
        {"vary": {"sampling_step": [1]}},
        {"set": {"train_steps": 0}},
        {"set": {"sampler": "haltn"}},
        {"recipes": {"mine": {"bas": "emigm"}}},
    ):
        assert list(check.iter_errors(wrong))
