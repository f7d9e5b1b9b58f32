"""A kind is declared once, in `mgbench/recipes/kinds.py`; what else speaks of kinds follows from it or is compared here."""

import re
from pathlib import Path

import pytest

from mgbench import hookspecs, testing
from mgbench.interfaces import components, engine
from mgbench.interfaces.components import Parts
from mgbench.recipes.kinds import ALWAYS_ASKED, EVERY_KIND, KINDS, LATER, TABLE, Kind
from mgbench.recipes.recipe import FIELDS
from mgbench.registry.loading import load

ROOT = Path(__file__).parents[2]
# Kinds with components of their own.
OWN = [kind for kind in TABLE if not kind.offered_as]


def test_the_names_of_kinds_differ() -> None:
    assert len(EVERY_KIND) == len(TABLE)
    assert len({kind.question for kind in TABLE}) == len(TABLE)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.name)
def test_the_protocol_and_the_hook_ask_what_the_table_asks(kind: Kind) -> None:
    module = engine if kind.decides == "nothing" else components
    asked = EVERY_KIND[kind.offered_as or kind.name].question
    assert getattr(module, kind.protocol).__doc__.lower().startswith(asked.lower())
    assert vars(hookspecs)[kind.hook].__doc__.lower() == asked.lower()
    assert kind.protocol in str(vars(hookspecs)[kind.hook].__annotations__["return"])


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.name)
def test_every_kind_has_a_law_and_a_component(kind: Kind) -> None:
    assert kind.name in testing.LAWS
    assert load().names(kind.name)


def test_recipes_and_parts_have_a_field_for_each_kind() -> None:
    assert set(KINDS) <= set(FIELDS)
    assert set(KINDS) | {"metrics", "labels", "teacher"} == set(Parts.__annotations__)
    assert set(ALWAYS_ASKED) <= set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.default], ids=lambda kind: kind.name)
def test_the_default_of_a_kind_is_a_component(kind: Kind) -> None:
    assert kind.default is not None
    assert load().bound(kind.name, kind.default).component is not None


@pytest.mark.parametrize("name", [name for name in LATER if name != "check"])
def test_a_later_method_is_one_that_a_kind_has(name: str) -> None:
    """Whether a protocol asks for it, that of what a component builds does, or it is one that may be left out."""
    texts = [
        (ROOT / "mgbench" / "interfaces" / f"{file}.py").read_text() for file in ("components", "modules", "optional")
    ]
    assert any(re.search(rf"def {name}\(", text) or f'"{name}"' in text for text in texts)
