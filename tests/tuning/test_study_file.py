"""The study that a search writes is read as a study file, and taken by its schema."""

import tomllib

import jsonschema

from mgbench.recipes.schema import study_schema
from mgbench.tuning.study_file import found_study, study_text


def test_options_of_components_stay_options() -> None:
    found = {"solver.steps": 17, "sampler": "locality(apart=2.0)"}
    text = study_text(
        found_study("mine", ("emigm", {"sampling_steps": 5}), ("emigm-tuned", found), {}, (0, 1)), ["Found"]
    )
    written = tomllib.loads(text)
    assert written["recipes"]["emigm-tuned"] == {"base": "emigm", **found}
    assert written["set"] == {"reference": "test"}
    jsonschema.Draft202012Validator(study_schema({})).validate(written)
