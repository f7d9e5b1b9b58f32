"""Preparation of a study: files, features of real images, and floors, obtained or checked before a run."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch

from mgbench.errors import Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.recipes.recipe import Recipe
from mgbench.registry.content import components_of
from mgbench.registry.in_use import kinds_in_use
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import Assembly
from mgbench.results.store import Store
from mgbench.trials.plan import Row
from mgbench.trials.real_features import is_stored
from mgbench.trials.score import real_images


def fetchers(registry: Registry, recipes: Iterable[Recipe]) -> Mapping[str, list[Callable[[], None]]]:
    """For each component of some recipes that can get its own files, or has parts that can, by its spelling, the functions
    that do; data sets first, which other components may depend on.

    Raises:
        UserError: if a component or option does not exist.
    """
    found: dict[str, list[Callable[[], None]]] = {}
    for recipe in recipes:
        metrics = [("metric", registry.bound("metric", spec)) for spec in recipe.metrics]
        for kind, bound in [*kinds_in_use(registry, recipe).items(), *metrics]:
            parts = components_of([bound.component])
            if fetching := [fetch for part in parts if (fetch := optional.fetching(part)) is not None]:
                found[f"{kind}={bound.spec}"] = fetching
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith("dataset=")))


def scored(rows: Iterable[Row]) -> Iterator[Assembly]:
    """One assembly of each reference that the scores of these rows need."""
    known = set()
    for row in rows:
        recipe = row.assembly.recipe
        of = (
            row.spelled["dataset"],
            row.spelled["extractor"],
            recipe.label_distribution,
            recipe.metrics,
            recipe.samples,
            recipe.reference,
        )
        if not row.assembly.unfit and of not in known:
            known.add(of)
            yield row.assembly


def prepare_reference(
    store: Store, assembly: Assembly, device: torch.device, advance: Advance = UNREPORTED
) -> Mapping[str, float]:
    """Extract and store all that scores of a recipe ask of real images; their floors. `advance` is called after every batch.

    Raises:
        UserError: if the extractor lacks its library or its weights.
    """
    parts = assembly.parts
    reference = real_images(store, assembly, device, advance)
    reference.real.gather(parts.metrics)
    for metric in filter(optional.needs_reference, parts.metrics):
        keeping = optional.mergeable(metric) or optional.comparing(metric)
        try:
            if keeping is not None:
                reference.real.state(keeping)
        except Unfit:
            # The rows say why the metric is left out.
            continue
    return reference.floors(parts.metrics, assembly.samples).scores


def has_reference(store: Store, assembly: Assembly) -> bool:
    """Whether the features of real images, or the states of all metrics that look at them, are stored."""
    return is_stored(assembly.reference_data, assembly.parts.extractor, assembly.parts.metrics, store)
