"""From stored records to something to read: a pandas frame, figures, sample sheets, tables, and an offline page.

This room reads records only. It knows neither components nor plugins and imports no torch; its own heavy parts are
imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgbench.report.figures.sheets import sample_sheet, steps_sheet
    from mgbench.report.figures.tradeoff import metric_panels, metric_versus
    from mgbench.report.figures.training import training_curves, training_panels
    from mgbench.report.frame import read_results
    from mgbench.report.page import write_report
    from mgbench.report.summary import mark_protocols, summarise
    from mgbench.report.table import printable, problems, summary_table

__all__ = [
    "mark_protocols",
    "metric_panels",
    "metric_versus",
    "printable",
    "problems",
    "read_results",
    "sample_sheet",
    "steps_sheet",
    "summarise",
    "summary_table",
    "training_curves",
    "training_panels",
    "write_report",
]

_HOMES = {
    "mark_protocols": "summary",
    "metric_panels": "figures.tradeoff",
    "metric_versus": "figures.tradeoff",
    "printable": "table",
    "problems": "table",
    "read_results": "frame",
    "sample_sheet": "figures.sheets",
    "steps_sheet": "figures.sheets",
    "summarise": "summary",
    "summary_table": "table",
    "training_curves": "figures.training",
    "training_panels": "figures.training",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mgbench.report' has no attribute {name!r}")
    return getattr(import_module(f"mgbench.report.{_HOMES[name]}"), name)
