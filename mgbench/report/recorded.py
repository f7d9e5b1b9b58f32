"""Scores of records under their full names, and what metrics declare of them."""

import re
from functools import cache

import numpy as np

from mgbench.report.labels import Declared, read_declaration
from mgbench.results.record import Record

_COUNT = re.compile(r"/n(\d+)(?:/|$)")


@cache
def scored_images(protocol: str) -> float:
    """The number of images that a protocol scores; NaN where it says none."""
    found = _COUNT.search(protocol)
    return float(found[1]) if found else np.nan


def scores_of(record: Record) -> dict[str, float]:
    """The scores by full names, which include the tokenizer for scores of tokens."""
    return {_whole_name(record, name): value for name, value in record.scores.items()}


def _whole_name(record: Record, name: str) -> str:
    tokenizer = record.recipe.get("tokenizer")
    of_tokens = record.declared.get(name, {}).get("of") == "tokens"
    return f"{name}[{tokenizer}]" if tokenizer and of_tokens else name


def declarations(records: list[Record]) -> Declared:
    """The declarations of all scores, except contradictory ones."""
    said: dict[str, list[dict[str, str]]] = {}
    for record in records:
        for name, plain in record.declared.items():
            known = said.setdefault(_whole_name(record, name), [])
            if plain not in known:
                known.append(plain)
    found = {name: read_declaration(known[-1]) for name, known in said.items() if _agree(known)}
    return Declared({name: info for name, info in found.items() if info is not None})


def _agree(known: list[dict[str, str]]) -> bool:
    return len({(plain.get("better"), plain.get("of")) for plain in known}) == 1
