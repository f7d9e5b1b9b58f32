"""`mgbench results`: lists, shows, exports and removes stored rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion, options
from mgbench.cli.output.as_json import print_json
from mgbench.cli.output.terminal import notify
from mgbench.errors import UserError
from mgbench.results.wording import amount, counted

if TYPE_CHECKING:
    import pandas as pd

    from mgbench.results.export import Export
    from mgbench.results.maintenance.inventory import Removal

KEY, NARROW, WIDE = 8, 1, 3


def results(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]…",
            help="Only rows whose keys begin like this; a single row is shown in full.",
            show_default=False,
        ),
    ] = None,
    study: Annotated[str, typer.Option(help="Only the rows of this study.", autocompletion=completion.study)] = "",
    where: options.Where = "",
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows with every column: .csv, .parquet or .json.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove these rows, and files that no other row uses; asks first.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --remove: every row.")] = False,
    unused: Annotated[
        bool, typer.Option("--unused", help="With --remove: only models and other files that no row uses.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --remove: do not ask for confirmation.")] = False,
    results: options.Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows with every column as JSON.")] = False,
) -> None:
    """List the stored rows; show one row, export rows or remove them."""
    from mgbench.results.export import exporter

    named = bool(keys or study or where)
    _check(named, remove, export, every, unused, yes)
    if as_json and (remove or export):
        raise UserError("--json cannot be combined with --export or --remove; leave it out")
    put = exporter(export) if export else None
    if unused:
        _remove_unused(results, yes)
        return
    frame, one = _rows(results, study, where, keys or (), exact=remove)
    if put and export:
        _export(put, export, frame, results)
    elif remove:
        _remove(results, list(frame["key"]), yes)
    elif as_json:
        print_json(frame.to_dict("records"))
    elif one and len(frame) == 1:
        _show(results, frame)
    else:
        _list(frame, results)


def _check(named: bool, remove: bool, export: Path | None, every: bool, unused: bool, yes: bool) -> None:
    for option, given in (("--all", every), ("--unused", unused), ("--yes", yes)):
        if given and not remove:
            raise UserError(f"{option} only works with --remove; add --remove, or leave it out")
    if remove and export:
        raise UserError("--export and --remove cannot be combined; export first, then remove")
    if sum((named, every, unused)) > 1:
        raise UserError("--remove takes one of: --all, --unused, or a selection by keys, --study or --where")
    if remove and not (named or every or unused):
        raise UserError("--remove needs a selection: a key, --study or --where; --all removes every row")


def _rows(results: Path, study: str, where: str, keys: Sequence[str], exact: bool) -> "tuple[pd.DataFrame, bool]":
    """The selected rows, and whether the selection is a single key.

    Raises:
        UserError: if no row matches, or a key that must be exact matches several.
    """
    import warnings

    from mgbench.report import read_results

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = read_results(results, study or None, where)
    if frame.attrs["corrupt"]:
        count = len(frame.attrs["corrupt"])
        said = f"{counted(count, 'record')} cannot be read and {'are' if count > 1 else 'is'} left out"
        notify(f"{said}; see mgbench doctor {results}")
    if where and frame.empty:
        raise UserError(f"no row has {where!r}; leave --where out to list all rows")
    if not keys:
        return frame, False
    wanted = [key for text in keys for key in _matching(frame, text, exact)]
    return frame[frame["key"].isin(wanted)], len(keys) == 1


def _matching(frame: "pd.DataFrame", text: str, exact: bool) -> list[str]:
    found = [key for key in frame["key"] if text and key.startswith(text)]
    if not found:
        raise UserError(f"no row key begins with {text!r}; 'mgbench results' lists the keys")
    if exact and len(found) > 1:
        raise UserError(
            f"{text!r} is the beginning of {len(found)} keys ({', '.join(found[:3])} …); give more characters"
        )
    return found


def _list(frame: "pd.DataFrame", results: Path) -> None:
    from rich.text import Text

    from mgbench.cli.output.table import console, plain_table
    from mgbench.report.frame import score_names
    from mgbench.report.measures import number, score_name

    if frame.empty:
        typer.echo(f"{results} holds no rows yet; 'mgbench run' computes some")
        return
    screen, table = console(), plain_table()
    scores = score_names(frame)[: NARROW if screen.width < 120 else WIDE]
    for head in ("key", "series", "steps", "seed", "status"):
        table.add_column(
            head, no_wrap=head != "series", overflow="fold", justify="right" if head in ("steps", "seed") else "left"
        )
    for name in scores:
        table.add_column(Text(score_name(frame, name).replace("[", "\n[")), justify="right", no_wrap=True)
    reasons = frame["reason"].astype(bool).any()
    if reasons:
        table.add_column("reason", overflow="fold", ratio=2)
    for row in frame.to_dict("records"):
        cells = [row["key"][:KEY], _named(row), _whole(row["sampling_steps"]), _whole(row["seed"]), row["status"]]
        cells += [number(row[name]) for name in scores] + [row["reason"]] * bool(reasons)
        table.add_row(*map(Text, map(str, cells)))
    screen.print(table)
    typer.echo(_counts(frame))


def _counts(frame: "pd.DataFrame") -> str:
    """The number of rows by status, and of those of a study that are not recorded."""
    said = ", ".join(f"{count} {status}" for status, count in frame["status"].value_counts().items())
    missing = frame.attrs.get("missing", 0)
    return f"{counted(len(frame), 'row')}: {said}" + (f"; {missing} more not recorded" if missing else "")


def _named(row: "dict[Any, Any]") -> str:
    """The series of a row, or the tokenizer that it is about."""
    return str(row["series"]) if row["about"] == "images" else f"tokenizer {row['tokenizer']}"


def _whole(value: float | None) -> str:
    return "–" if value is None or value != value else str(int(value))


def _show(results: Path, frame: "pd.DataFrame") -> None:
    """Print everything stored about one row."""
    from mgbench.cli.output.row import print_row
    from mgbench.results.layout import Layout

    print_row(Layout(results), str(frame["key"].iloc[0]))


def _export(put: "Export", path: Path, frame: "pd.DataFrame", results: Path) -> None:
    from mgbench.results.layout import Layout
    from mgbench.results.maintenance.inventory import stored_records

    put(path, frame, stored_records(Layout(results)).values())
    typer.echo(f"{path}: {counted(len(frame), 'row')}, {amount(path.stat().st_size)}")


def _remove(results: Path, keys: list[str], yes: bool) -> None:
    from mgbench.results.layout import Layout
    from mgbench.results.maintenance.inventory import removal

    found = removal(Layout(results), keys)
    if not found.rows:
        typer.echo(f"{results} holds no matching rows; nothing was removed")
        return
    for record in found.rows:
        steps = record.recipe.get("sampling_steps")
        at = f", {counted(steps, 'step')}" if steps is not None else ""
        typer.echo(f"  {record.key[:KEY]}  {record.method}{at}, {record.status}")
    if found.shared:
        typer.echo(f"these studies lose rows until they are run again: {', '.join(found.shared)}")
    _carry_out(results, found, yes)


def _remove_unused(results: Path, yes: bool) -> None:
    from mgbench.results.layout import Layout
    from mgbench.results.maintenance.inventory import unused

    if not results.is_dir():
        raise UserError(f"there are no results in {results}; name another folder with --results")
    found = unused(Layout(results))
    if not found.along:
        typer.echo("every stored file is used by a row; nothing was removed")
        return
    typer.echo("no row uses the files below; a run in progress may still need them, so let it finish first")
    _carry_out(results, found, yes)


def _carry_out(results: Path, found: "Removal", yes: bool) -> None:
    """Print what will be removed, ask for confirmation, and remove it."""
    from mgbench.results.maintenance.inventory import remove, size

    for path in found.along:
        typer.echo(f"  {path.relative_to(results)}  {amount(size(path))}")
    others = f"{counted(len(found.along), 'path')} that no other row uses" if found.along else ""
    what = " and ".join(filter(None, (counted(len(found.rows), "row") if found.rows else "", others)))
    total = amount(sum(map(size, found.paths)))
    if not yes and not _agreed(f"remove {what} ({total})?"):
        typer.echo("nothing was removed")
        raise typer.Exit(1)
    remove(found.paths)
    typer.echo(f"removed {what}: {total}")


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort:
        raise UserError("no answer, so nothing was removed; use --yes in scripts") from None
