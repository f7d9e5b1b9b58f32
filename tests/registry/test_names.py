"""Names that are read from source are those that the plugins offer when they are loaded."""

import inspect
import sys

import pytest

from mgbench.recipes.kinds import EVERY_KIND
from mgbench.recipes.spec import hints
from mgbench.registry.names import components, methods, option_values, plugins_with
from tests.laws.registered import registry


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_components_of_a_kind_and_their_options_are_all_found(kind: str) -> None:
    offers = registry().names(kind)
    found = {named.name: named for named in components(kind)}
    assert set(found) == set(offers)
    for name, offer in offers.items():
        assert set(option_values(found[name])) == set(hints(offer.maker)), name
        assert found[name].plugin == offer.plugin


def test_of_a_plugin_all_methods_are_found_or_none_where_a_program_makes_their_names() -> None:
    found: dict[str, set[str]] = {}
    for method in methods():
        found.setdefault(method.plugin, set()).add(method.name)
    offered = {plugin: set(known) for plugin, known in registry().recipes.items()}
    assert found.items() <= offered.items()
    text = {plugin: inspect.getsource(sys.modules[registry().sources[plugin].module]) for plugin in offered}
    assert all("return {name: " in text[plugin] for plugin in offered.keys() - found.keys())


def test_all_trackers_are_found() -> None:
    assert set(plugins_with("mgbench_run_started")) == set(registry().trackers)
