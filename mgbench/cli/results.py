"""`mgbench results`: the stored rows; list them, look at one, hand them to other programs, remove them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli import choices
from mgbench.cli.as_json import print_json
from mgbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from mgbench.results.maintenance.inventory import Removal

KEY, NARROW, WIDE = 8, 1, 3


def results_(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY]…", help="Only rows whose keys begin so; of one, everything.", show_default=False),
    ] = None,
    study: Annotated[str, typer.Option(help="Only the rows of this study.")] = "",
    where: Annotated[
        str, typer.Option(metavar="CONDITION", help="Only these rows, such as 'sampler=halton and nfe<=16'.")
    ] = "",
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows with every column: .csv, .parquet or .json.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove these rows, and what no other row refers to; asks first.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --remove: every row.")] = False,
    unused: Annotated[
        bool, typer.Option("--unused", help="With --remove: no row, but the models and the like that none refers to.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --remove: do not ask.")] = False,
    results: choices.Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows with every column as JSON.")] = False,
) -> None:
    """List what is stored, row by row; show one, export or remove rows."""
    from mgbench.results.export import exporter

    named = bool(keys or study or where)
    _check(named, remove, export, every, unused, yes)
    if as_json and (remove or export):
        raise UserError("--json prints rows; leave it out where rows are exported or removed")
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
            raise UserError(f"{option} says what --remove does; write --remove as well, or leave it out")
    if remove and export:
        raise UserError("--export and --remove are two commands; export first, then remove")
    if sum((named, every, unused)) > 1:
        raise UserError("--all, --unused, and keys, --study or --where each say what to remove; write one of them")
    if remove and not (named or every or unused):
        raise UserError(
            "--remove takes the rows that are named by a key, --study or --where; write --all to remove every row"
        )


def _rows(results: Path, study: str, where: str, keys: Sequence[str], exact: bool) -> "tuple[pd.DataFrame, bool]":
    """The rows that are asked for, and whether that is one key.

    Raises:
        UserError: if there are none, or, where it has to be exact, a key is the beginning of several.
    """
    import warnings

    from mgbench.report import read_results

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = read_results(results, study or None, where)
    if frame.attrs["corrupt"]:
        count = len(frame.attrs["corrupt"])
        said = f"{count} record{'s' * (count > 1)} cannot be read and {'are' if count > 1 else 'is'} left out"
        typer.secho(f"mgbench: {said}; see mgbench doctor {results}", err=True, fg="yellow")
    if where and frame.empty:
        raise UserError(f"no row has {where!r}; leave --where out to see all of them")
    if not keys:
        return frame, False
    wanted = [key for text in keys for key in _matching(frame, text, exact)]
    return frame[frame["key"].isin(wanted)], len(keys) == 1


def _matching(frame: "pd.DataFrame", text: str, exact: bool) -> list[str]:
    found = [key for key in frame["key"] if text and key.startswith(text)]
    if not found:
        raise UserError(f"the key of no row begins with {text!r}; 'mgbench results' lists them")
    if exact and len(found) > 1:
        raise UserError(f"{text!r} is the beginning of {len(found)} keys ({', '.join(found[:3])} …); write more of it")
    return found


def _list(frame: "pd.DataFrame", results: Path) -> None:
    from rich.text import Text

    from mgbench.cli.table import console, plain_table
    from mgbench.report.frame import score_names
    from mgbench.report.measures import number, score_name
    from mgbench.results.maintenance.inventory import counted

    if frame.empty:
        typer.echo(f"{results} holds no rows; 'mgbench run' makes some")
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
    counts = frame["status"].value_counts()
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    missing = frame.attrs.get("missing", 0)
    typer.echo(f"{counted(len(frame), 'row')}: {said}" + (f"; {missing} more not recorded" if missing else ""))


def _named(row: "dict[Any, Any]") -> str:
    """The series; of a tokenizer, which."""
    return str(row["series"]) if row["about"] == "images" else f"tokenizer {row['tokenizer']}"


def _whole(value: Any) -> str:
    return "–" if value is None or value != value else str(int(value))


def _show(results: Path, frame: "pd.DataFrame") -> None:
    """Everything that is known of one row."""
    from mgbench.cli.row import print_row
    from mgbench.results.layout import Layout

    print_row(Layout(results), str(frame["key"].iloc[0]))


def _export(put: Any, path: Path, frame: "pd.DataFrame", results: Path) -> None:
    from mgbench.results.layout import Layout
    from mgbench.results.maintenance.inventory import amount, counted, stored_records

    put(path, frame, stored_records(Layout(results)).values())
    typer.echo(f"{path}: {counted(len(frame), 'row')}, {amount(path.stat().st_size)}")


def _remove(results: Path, keys: list[str], yes: bool) -> None:
    from mgbench.results.layout import Layout
    from mgbench.results.maintenance.inventory import counted, removal

    found = removal(Layout(results), keys)
    if not found.rows:
        typer.echo(f"{results} holds no such rows; nothing is removed")
        return
    for record in found.rows:
        steps = record.recipe.get("sampling_steps")
        at = f", {counted(steps, 'step')}" if steps is not None else ""
        typer.echo(f"  {record.key[:KEY]}  {record.method}{at}, {record.status}")
    if found.shared:
        typer.echo(f"missing until it is run again: rows of {', '.join(found.shared)}")
    _carry_out(results, found, yes)


def _remove_unused(results: Path, yes: bool) -> None:
    from mgbench.results.layout import Layout
    from mgbench.results.maintenance.inventory import unused

    if not results.is_dir():
        raise UserError(f"there are no results in {results}; name another folder with --results")
    found = unused(Layout(results))
    if not found.along:
        typer.echo("a row refers to everything that is stored; nothing is removed")
        return
    typer.echo("no row refers to what follows; a run that is going on may be about to, so let it end first")
    _carry_out(results, found, yes)


def _carry_out(results: Path, found: "Removal", yes: bool) -> None:
    """Say what goes, ask, and remove it."""
    from mgbench.results.maintenance.inventory import amount, counted, remove, size

    for path in found.along:
        typer.echo(f"  {path.relative_to(results)}  {amount(size(path))}")
    others = f"{counted(len(found.along), 'path')} that no other row refers to" if found.along else ""
    what = " and ".join(filter(None, (counted(len(found.rows), "row") if found.rows else "", others)))
    total = amount(sum(map(size, found.paths)))
    if not yes and not _agreed(f"remove {what} ({total})?"):
        typer.echo("nothing is removed")
        raise typer.Exit(1)
    remove(found.paths)
    typer.echo(f"removed {what}: {total}")


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort:
        raise UserError("nobody answered, and nothing is removed; write --yes where nobody can") from None
