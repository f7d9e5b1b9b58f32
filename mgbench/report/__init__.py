"""From stored records to something to read: a pandas frame, figures, sample sheets, tables, and an offline page.

This room reads records only. It knows neither components nor plugins and imports no torch; its own heavy parts are
imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgbench.report.figures import metric_panels, metric_versus
    from mgbench.report.frame import of_images, read_results
    from mgbench.report.page.report import write_report
    from mgbench.report.published.data import read_published
    from mgbench.report.published.figure import published_figure
    from mgbench.report.published.page import write_published
    from mgbench.report.sheets import sample_sheet, steps_sheet
    from mgbench.report.summary import mark_protocols, summarise
    from mgbench.report.table import printable, problems, summary_table, tokenizer_table
    from mgbench.report.training import training_curves, training_panels

__all__ = [
    "mark_protocols",
    "metric_panels",
    "metric_versus",
    "of_images",
    "printable",
    "problems",
    "published_figure",
    "read_published",
    "read_results",
    "sample_sheet",
    "steps_sheet",
    "summarise",
    "summary_table",
    "tokenizer_table",
    "training_curves",
    "training_panels",
    "write_published",
    "write_report",
]

_HOMES = {
    "mark_protocols": "summary",
    "metric_panels": "figures",
    "metric_versus": "figures",
    "of_images": "frame",
    "printable": "table",
    "problems": "table",
    "published_figure": "published.figure",
    "read_published": "published.data",
    "read_results": "frame",
    "sample_sheet": "sheets",
    "steps_sheet": "sheets",
    "summarise": "summary",
    "summary_table": "table",
    "tokenizer_table": "table",
    "training_curves": "training",
    "training_panels": "training",
    "write_published": "published.page",
    "write_report": "page.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mgbench.report' has no attribute {name!r}")
    return getattr(import_module(f"mgbench.report.{_HOMES[name]}"), name)
