"""The full description of one row in the terminal."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mgbench.results.layout import Layout
    from mgbench.results.record import Record


def print_row(layout: "Layout", key: str) -> None:
    """Print a row: status, scores beside their floors, costs, recipe, origin and files."""
    from mgbench.cli.output.table import console
    from mgbench.report.measures import cost_axis, number
    from mgbench.results.maintenance.inventory import stored_studies
    from mgbench.results.record import load_record
    from mgbench.results.wording import amount

    record, screen = load_record(layout.run(key) / "record.json"), console()
    studies = [name for name, view in stored_studies(layout).items() if key in dict(view.rows)]
    _print(screen, "", _head(record, studies))
    _print(screen, "scores", _scores(record), ("", "real images"), numbers=True)
    _print(screen, "costs", ((cost_axis(name), number(value)) for name, value in record.costs.items()), numbers=True)
    _print(screen, "recipe", ((name, _spelled(value)) for name, value in record.recipe.items() if value is not None))
    _print(screen, "origin", ((name, str(value)) for name, value in record.origin.items()))
    folder = layout.run(key)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = ((path.relative_to(folder).as_posix(), amount(path.stat().st_size)) for path in files)
    _print(screen, str(folder), sizes, numbers=True)


def _head(record: "Record", studies: Iterable[str]) -> Iterable[tuple[str, str]]:
    named = {
        "key": record.key,
        "method": record.method,
        "status": record.status,
        "reason": record.reason,
        "end of its log": record.tail,
        "about": record.about,
        "model" if record.about == "images" else "tokenizer": record.training_key,
        "studies": ", ".join(studies),
        "protocol": record.protocol,
        "data": record.data,
        **{f"warning {number}": said for number, said in enumerate(record.warnings, 1)},
    }
    return ((name, said) for name, said in named.items() if said)


def _scores(record: "Record") -> Iterator[tuple[str, ...]]:
    """The name of each score, its value, and that of real images."""
    from mgbench.report.labels import read_declaration
    from mgbench.report.measures import declared_name, number

    for name, value in record.scores.items():
        floor = number(record.floors[name]) if name in record.floors else "–"
        yield declared_name(name, read_declaration(record.declared.get(name, {}))), number(value), floor


def _spelled(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    from mgbench.report.frame import spell

    return spell(value)


def _print(
    screen: "Console", title: str, rows: Iterable[tuple[str, ...]], heads: tuple[str, ...] = (), numbers: bool = False
) -> None:
    from rich.text import Text

    from mgbench.cli.output.table import plain_table

    cells = list(rows)
    if not cells:
        return
    table = plain_table()
    table.add_column(Text(title), no_wrap=True)
    table.show_header = bool(title)
    for column in range(len(cells[0]) - 1):
        table.add_column(heads[column] if heads else "", overflow="fold", justify="right" if numbers else "left")
    for row in cells:
        # Text, because rich would read the brackets of fid[digits_cnn] as markup.
        table.add_row(*map(Text, row))
    screen.print(table)
