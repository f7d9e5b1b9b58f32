"""Methods and components are shown before anything runs."""

import json

import pytest

from mgbench.cli.output.describe import in_words, options, registry_kinds
from mgbench.registry.loading import load
from tests.cli.conftest import Command


def test_a_method_is_shown_field_by_field(mgbench: Command) -> None:
    answer = mgbench("show", "emigm")
    assert answer.code == 0, answer.err
    rows = {line.split()[0]: line.split()[1:] for line in answer.out.splitlines() if line.split()}
    assert rows["mask_schedule"] == ["exp(rate=5.0)", "set", "model"]
    assert rows["dataset"] == ["digits", "tokens"]
    assert rows["guidance_schedule"][-2:] == ["set", "images"]


def test_methods_are_compared_field_by_field(mgbench: Command) -> None:
    answer = mgbench("diff", "emigm", "emigm-unguided")
    assert "1 of " in answer.out
    rows = [line.split() for line in answer.out.splitlines() if line.strip().startswith("guidance_schedule")]
    assert [row[-1] for row in rows] == ["none"]
    assert "mask_schedule" not in answer.out
    as_json = json.loads(mgbench("diff", "emigm", "emigm-unguided", "--json").out)
    assert (list(as_json), as_json["guidance_schedule"]["emigm-unguided"]) == (["guidance_schedule"], "none")


def test_a_component_is_shown_with_options_ranges_and_papers(mgbench: Command) -> None:
    answer = mgbench("show", "exp")
    assert answer.out.startswith("mask_schedule exp  of the plugin ")
    assert "papers: arXiv:2503.07197" in answer.out
    assert ["rate", "number", ">", "0", "5.0"] in [line.split() for line in answer.out.splitlines()]


@pytest.mark.parametrize("kind", registry_kinds())
def test_every_option_of_every_component_is_told_in_words(kind: str) -> None:
    for name, offer in load().names(kind).items():
        for option in options(offer.maker):
            words = in_words(option["type"])
            assert words, f"{kind} {name}: {option}"
            assert "anything" not in words, f"{kind} {name}: {option['name']} has no type that can be told"
