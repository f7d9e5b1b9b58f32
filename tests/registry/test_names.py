"""Names that are read from source are those that the plugins offer when they are loaded."""

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
        assert list(option_values(found[name])) == list(hints(offer.maker)), name
        assert found[name].plugin == offer.plugin


def test_all_methods_and_trackers_are_found() -> None:
    assert {method.name for method in methods()} == {name for known in registry().recipes.values() for name in known}
    assert set(plugins_with("mgbench_run_started")) == set(registry().life)
