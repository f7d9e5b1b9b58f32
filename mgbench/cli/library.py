"""The main commands as functions, for notebooks and scripts: plan, run, load a model, sample it.

They share plans, engines, keys and results with the command line: what one has computed the other reuses.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mgbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mgbench.cli.study.selection import Chosen
    from mgbench.recipes.study import Study
    from mgbench.trials.stored_model import StoredModel

Folder = Path | str


def plan(study: "Study", plugins: Iterable[str] = (), results: Folder = "results") -> "pd.DataFrame":
    """Preview a study: one row per recipe with its method, key, reason to be skipped, whether it is reused, and all
    fields of its recipe. Nothing is trained.

    `plugins` are files or modules, beside the installed plugins.

    Raises:
        UserError: if a plugin, field or component does not exist.
    """
    import pandas as pd

    rows = _chosen(study, plugins, results).rows
    return pd.DataFrame(
        {
            "method": row.method,
            "key": row.key,
            "skipped": row.assembly.unfit,
            "reused": row.reused,
            **row.spelled,
        }
        for row in rows
        if row.about == "images"
    )


def run(
    study: "Study", plugins: Iterable[str] = (), results: Folder = "results", devices: str = "auto"
) -> "pd.DataFrame":
    """Compute the missing rows of a study, with trials in parallel on the devices, and return the frame of its rows.

    A failure becomes a row with its status and reason. The figures of `mgbench.report` take this frame.

    Raises:
        UserError: as `plan`; also if there is no such device, or the results cannot be written.
    """
    from mgbench.cli.study.failures import FailureLimit
    from mgbench.cli.study.work import Work, save_view
    from mgbench.engines.local import Local
    from mgbench.engines.supervise import supervise
    from mgbench.interfaces.engine import USUAL, Leases
    from mgbench.report.frame import read_results
    from mgbench.trials.plan import plan_trials

    chosen = _chosen(study, plugins, results)
    chosen.store.check_writable()
    work = Work(chosen, plan_trials(chosen.rows), Local().open(Leases(devices)), USUAL, FailureLimit())
    save_view(chosen)
    if work.trials:
        supervise(work.engine, chosen.store, work.trials, work.job, lambda event: None)
    return read_results(Path(results), study.name)


def load_model(
    method: str, results: Folder = "results", plugins: Iterable[str] = (), device: str = "auto", **changes: object
) -> "StoredModel":
    """The trained model of a method, or of a row by its key; `changes` set fields that decide only images, such as
    `sampling_steps`.

    Raises:
        UserError: if there is no such model, or a change decides the model.
    """
    from mgbench.engines.devices import first_device
    from mgbench.registry.loading import find, load
    from mgbench.results.store import Store
    from mgbench.trials.stored_model import find_model

    registry = load([find(name) for name in plugins])
    return find_model(registry, Store(Path(results)), method, changes, first_device(device))


def sample(model: "StoredModel", count: int = 64, batch: int = 250) -> "tuple[Tensor, Tensor]":
    """Draw `count` images uint8 [M,C,H,W'] from a model, with the requested labels int64 [M] (−1: none), both on the
    CPU.

    Image i does not depend on `batch` and `count`.

    Raises:
        UserError: if `count` is less than 1.
    """
    import torch

    if count < 1:
        raise UserError(f"{count} images cannot be drawn; ask for at least 1")
    drawn = list(model.images(count, batch))
    images, labels = (torch.cat([getattr(one, name).cpu() for one in drawn]) for name in ("images", "labels"))
    return images, labels


def _chosen(study: "Study", plugins: Iterable[str], results: Folder) -> "Chosen":
    from mgbench.cli.study.selection import Chosen
    from mgbench.registry.loading import find, load
    from mgbench.results.store import Store
    from mgbench.trials.plan import plan_study

    sources = tuple(find(name) for name in plugins)
    registry, store = load(sources), Store(Path(results))
    return Chosen(sources, registry, study, store, plan_study(registry, study, store))
