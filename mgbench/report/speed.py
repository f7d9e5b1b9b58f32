"""Tables of measured speeds: what a method takes, and the parts of the time of an image."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from mgbench.report.measures import briefly
from mgbench.results.speed import Speed


def _share(cost: str) -> Callable[[Mapping[str, float]], str]:
    return lambda costs: f"{costs[cost]:.0%}" if cost in costs else ""


def _number(cost: str, factor: float = 1.0) -> Callable[[Mapping[str, float]], str]:
    return lambda costs: briefly(factor * costs[cost]) if cost in costs else ""


Costs = Mapping[str, float]
# Tables by title: their columns, and the text of each from the costs of a measurement.
TABLES: Mapping[str, Mapping[str, Callable[[Costs], str]]] = {
    "training": {
        "images/s": _number("train_images_per_second"),
        "ms/step": _number("train_step_seconds", 1e3),
        "of matrix rate": _share("train_share"),
        "GFLOP/image": _number("train_flops_per_image", 1e-9),
        "peak MB": _number("train_peak_memory_bytes", 1e-6),
    },
    "sampling": {
        "ms/image": _number("seconds_per_image", 1e3),
        "of matrix rate": _share("sampling_share"),
        "GFLOP/image": _number("flops_per_image", 1e-9),
        "peak MB": _number("sampling_peak_memory_bytes", 1e-6),
    },
    "scoring": {
        "images": _number("scored_images"),
        "features ms/image": _number("features_seconds_per_image", 1e3),
        "metrics s": _number("metrics_seconds"),
    },
}
SAMPLING = "sampling"


def speed_tables(speeds: Sequence[Speed]) -> dict[str, pd.DataFrame]:
    """Tables of texts by title, with a row per measurement; that of sampling ends with the share of each part."""
    parts = list(dict.fromkeys(name for speed in speeds for name in speed.parts))
    return {
        title: _told([{**_head(speed, title), **_cells(speed, title, columns, parts)} for speed in speeds], title)
        for title, columns in TABLES.items()
        if any(text(speed.costs) for speed in speeds for text in columns.values())
    }


def _cells(
    speed: Speed, title: str, columns: Mapping[str, Callable[[Costs], str]], parts: Iterable[str]
) -> dict[str, str]:
    cells = {name: text(speed.costs) for name, text in columns.items()}
    if title != SAMPLING or not speed.parts:
        return cells
    total = sum(speed.parts.values())
    return {**cells, **{name: f"{speed.parts[name] / total:.0%}" if name in speed.parts else "" for name in parts}}


# Fields of recipes that tell measurements of one method apart, by table and by the heads of their columns.
FIELDS = {
    "training": {"batch": "batch_size", "compile": "compile", "precision": "precision"},
    SAMPLING: {
        "batch": "batch_size",
        "steps": "sampling_steps",
        "compile": "sampling_compile",
        "precision": "sampling_precision",
    },
    "scoring": {"batch": "batch_size"},
}
DEVICE = "device"


def _head(speed: Speed, title: str) -> dict[str, str]:
    told = {head: str(speed.recipe.get(name) or "") for head, name in FIELDS[title].items()}
    return {"method": speed.method, **told, DEVICE: str(speed.origin.get(DEVICE, ""))}


def _told(rows: list[dict[str, str]], title: str) -> pd.DataFrame:
    """A table without empty columns and without fields, except the batch, that are equal in all rows."""
    table = pd.DataFrame(rows).fillna("")
    alike = [name for name in (*FIELDS[title], DEVICE) if name != "batch" and table[name].nunique() == 1]
    return table.drop(columns=[*alike, *(name for name in table if (table[name] == "").all() and name not in alike)])


def reasons(speeds: Iterable[Speed]) -> list[str]:
    """A sentence for each thing that could not be measured."""
    found = (f"{speed.method}: no {what}: {why}" for speed in speeds for what, why in speed.left_out.items())
    return list(dict.fromkeys(found))


def speed_note(speeds: Iterable[Speed]) -> str:
    """A note about the devices of the measurements, and the rates of matrix products that shares are of."""
    devices = dict.fromkeys(str(speed.origin.get(DEVICE, "")) for speed in speeds)
    rates = dict.fromkeys(f"{speed.costs['matrix_rate'] / 1e9:,.3g}" for speed in speeds)
    return (
        f"Measured by mgbench speed on untrained models, on {' and '.join(devices)}. The matrix rate is that of the device's own "
        f"matrix products in the same minutes ({', '.join(rates)} GFLOP/s); on a CPU, the peak of memory is that of the process."
    )
