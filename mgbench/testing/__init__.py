"""The laws of each kind: for our own tests, and for those who write plugins.

A law takes a component and raises `AssertionError` with a sentence that says what is broken. See also `mgbench.testing.toys`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mgbench.testing.laws.engines import engine
from mgbench.testing.laws.sampling import code_draw, guidance_schedule, head, process, reuse, sampler, solver, time_grid
from mgbench.testing.laws.scoring import extractor, metric
from mgbench.testing.laws.training import dataset, loss_weighting, mask_schedule, masking, network, tokenizer

_ALL: tuple[Callable[[Any], None], ...] = (
    *(process, dataset, tokenizer, network, head, mask_schedule, masking, loss_weighting, time_grid),
    *(sampler, reuse, guidance_schedule, solver, code_draw, extractor, metric, engine),
)
LAWS: Mapping[str, Callable[[Any], None]] = {law.__name__: law for law in _ALL}
