"""`mgbench encode`: tokens of training images, before the trainings that read them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli.arguments import options, values
from mgbench.cli.study import selection

if TYPE_CHECKING:
    from mgbench.trials.token_cache import TokenCache


def encode(
    study_file: options.StudyFile = None,
    plugins: options.Plugins = None,
    set_: options.Set = None,
    vary: options.Vary = None,
    methods: options.Methods = None,
    results: options.Results = Path("results"),
    devices: Annotated[
        str,
        typer.Option(help="auto (all GPUs, or all cores), cuda, cpu, cpu:2, or a list; a process encodes on each."),
    ] = "auto",
) -> None:
    """Encode the training images of a study into the cache of tokens that its trainings read.

    A run does so itself where tokens do not fit into memory. What is encoded stays after a stop, and several commands at once,
    on one machine or on many with a common folder, share the work.
    """
    import torch

    from mgbench.cli.output.progress import progress_bar
    from mgbench.engines.devices import slots
    from mgbench.engines.encoding import distinct_caches, make_cache
    from mgbench.errors import UserError

    asked = values.outline(study_file, plugins, set_, vary, None, methods, "")
    chosen, places = selection.choose(asked, results), slots(devices)
    chosen.store.check_writable()
    found = 0
    for cache in distinct_caches(chosen.store, chosen.rows, torch.device(places[0])):
        found += 1
        with progress_bar(f"encoding {cache.assembly.spelled['dataset']}") as advance:
            new = make_cache(cache, chosen.sources, places, advance)
        typer.echo(_sentence(cache, new))
    if not found:
        raise UserError("nothing of this study is trained on tokens; 'mgbench plan' says why its rows are skipped")


def _sentence(cache: "TokenCache", new: bool) -> str:
    from mgbench.results.maintenance.inventory import size
    from mgbench.results.wording import amount, counted

    spelled, space, shards = cache.assembly.spelled, cache.tokenizer.space, cache.shards
    token = "codes" if space.codes else f"{space.dim} numbers ({cache.assembly.recipe.token_precision})"
    mirrored = " of mirror images" if cache.mirrored else ""
    return (
        f"{spelled['dataset']} through {spelled['tokenizer']}: {shards.count:,} × {space.length} tokens{mirrored}, {token}, "
        f"{amount(size(cache.folder))} in {counted(len(shards), 'shard')}{'' if new else ', there already'}: {cache.folder}"
    )
