"""Reports of stored records: a pandas frame, figures, sample sheets, tables, and an offline page.

This package only reads records, and imports neither components nor torch; heavy modules are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgbench.report.changes import compare
    from mgbench.report.claims import verdict_table
    from mgbench.report.figures import gallery
    from mgbench.report.figures.claims import claim_effects
    from mgbench.report.figures.effects import choice_effects
    from mgbench.report.figures.films import film_animation, film_strip
    from mgbench.report.figures.grids import heat_map, small_multiples
    from mgbench.report.figures.guidance import guidance_panels, score_versus_scale
    from mgbench.report.figures.models import model_scores
    from mgbench.report.figures.schedules import mask_schedules, reveal_counts
    from mgbench.report.figures.sheets import sample_sheet, steps_sheet
    from mgbench.report.figures.stages import stage_shares
    from mgbench.report.figures.tradeoff import metric_panels, metric_versus
    from mgbench.report.figures.training import training_curves, training_panels
    from mgbench.report.frame import of_images, read_results
    from mgbench.report.judging import verdicts
    from mgbench.report.latex import methods_text, paper_table
    from mgbench.report.page.report import write_report
    from mgbench.report.paired import effects
    from mgbench.report.published.data import read_published
    from mgbench.report.published.figure import published_figure
    from mgbench.report.published.page import write_published
    from mgbench.report.stored import Choices, read_stored
    from mgbench.report.style import on_paper
    from mgbench.report.summary import mark_protocols, summarise
    from mgbench.report.table import printable, problems, summary_table, tokenizer_table
    from mgbench.report.text import text_plot
    from mgbench.report.writer import write_all

__all__ = [
    "Choices",
    "choice_effects",
    "claim_effects",
    "compare",
    "effects",
    "film_animation",
    "film_strip",
    "gallery",
    "guidance_panels",
    "heat_map",
    "mark_protocols",
    "mask_schedules",
    "methods_text",
    "metric_panels",
    "metric_versus",
    "model_scores",
    "of_images",
    "on_paper",
    "paper_table",
    "printable",
    "problems",
    "published_figure",
    "read_published",
    "read_results",
    "read_stored",
    "reveal_counts",
    "sample_sheet",
    "score_versus_scale",
    "small_multiples",
    "stage_shares",
    "steps_sheet",
    "summarise",
    "summary_table",
    "text_plot",
    "tokenizer_table",
    "training_curves",
    "training_panels",
    "verdict_table",
    "verdicts",
    "write_all",
    "write_published",
    "write_report",
]

_HOMES = {
    "Choices": "stored",
    "choice_effects": "figures.effects",
    "claim_effects": "figures.claims",
    "compare": "changes",
    "effects": "paired",
    "film_animation": "figures.films",
    "film_strip": "figures.films",
    "gallery": "figures",
    "guidance_panels": "figures.guidance",
    "heat_map": "figures.grids",
    "mark_protocols": "summary",
    "mask_schedules": "figures.schedules",
    "methods_text": "latex",
    "metric_panels": "figures.tradeoff",
    "metric_versus": "figures.tradeoff",
    "model_scores": "figures.models",
    "of_images": "frame",
    "on_paper": "style",
    "paper_table": "latex",
    "printable": "table",
    "problems": "table",
    "published_figure": "published.figure",
    "read_published": "published.data",
    "read_results": "frame",
    "read_stored": "stored",
    "reveal_counts": "figures.schedules",
    "sample_sheet": "figures.sheets",
    "score_versus_scale": "figures.guidance",
    "small_multiples": "figures.grids",
    "stage_shares": "figures.stages",
    "steps_sheet": "figures.sheets",
    "summarise": "summary",
    "summary_table": "table",
    "text_plot": "text",
    "tokenizer_table": "table",
    "training_curves": "figures.training",
    "training_panels": "figures.training",
    "verdict_table": "claims",
    "verdicts": "judging",
    "write_all": "writer",
    "write_published": "published.page",
    "write_report": "page.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mgbench.report' has no attribute {name!r}")
    return getattr(import_module(f"mgbench.report.{_HOMES[name]}"), name)
