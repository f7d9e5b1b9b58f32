"""JSON Schema of study files, for completion and checks in editors."""

from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import FIELDS, SPECS, Recipe


def study_schema(components: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The schema of a study file; `components` are the names by kind that editors complete."""
    fields = {name: _field(name, components) for name in FIELDS}
    texts = {"type": "array", "items": {"type": "string"}}
    tables = {"type": "object", "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of mgbench",
        **tables,
        "properties": {
            "name": {
                "type": "string",
                "description": "name of the study and its report; by default the name of the file",
            },
            "plugins": {
                **texts,
                "description": "plugins whose methods to run: installed plugins, files (.py) or modules",
            },
            "methods": {**texts, "description": "only these methods of the plugins"},
            "seeds": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "description": "training seeds; everything is trained and sampled once for each",
            },
            "sample_seeds": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "description": "sampling seeds; every trained model is sampled once for each",
            },
            "set": {**tables, "properties": fields, "description": "fields of every recipe"},
            "vary": {
                **tables,
                "properties": {name: {"type": "array", "items": item} for name, item in fields.items()},
                "description": "values to vary; every combination runs",
            },
            "recipes": {
                "type": "object",
                "description": "methods of one's own",
                "additionalProperties": {
                    **tables,
                    "properties": {"base": {"type": "string", "description": "a method to start from"}, **fields},
                },
            },
        },
    }


def _field(name: str, components: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    if name in KINDS:
        kind = KINDS[name]
        known = list(components.get(kind.offered_as or name, ()))
        return {"description": kind.question, "anyOf": [{"enum": known}, {"type": "string", "pattern": r"^\w+\(.*\)$"}]}
    about = {"description": FIELDS[name].metadata["about"]}
    if name == "metrics":
        return {**about, "type": "array", "items": {"type": "string"}, "examples": [list(components.get("metric", ()))]}
    if name in SPECS:
        return {**about, "type": "string"}
    schema = TypeAdapter(get_type_hints(Recipe, include_extras=True)[name]).json_schema()
    # A list of one value may be written as the value.
    return {**about, **({"anyOf": [schema["items"], schema]} if schema.get("type") == "array" else schema)}
