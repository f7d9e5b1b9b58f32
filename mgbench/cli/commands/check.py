"""`mgbench check`: test the components and methods of a plugin against the laws of their kinds."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion

if TYPE_CHECKING:
    from mgbench.registry.laws import LawCheck


def check(
    plugins: Annotated[
        list[str],
        typer.Argument(
            metavar="PLUGIN…", help="Plugins to check: names, .py files or modules.", autocompletion=completion.plugins
        ),
    ],
    spec: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="A component with its options, such as 'exp(rate=2)'.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per component.")] = False,
) -> None:
    """Test every component and method of a plugin against the laws of its kind; exit with 1 if one is broken."""
    from mgbench.registry.laws import law_checks

    found = law_checks(plugins, spec or ())
    answers = []
    for one in found:
        answers.append(_answer(one))
        _show(answers[-1], as_json)
    counts = {said: sum(answer["outcome"] == said for answer in answers) for said in ("holds", "broken", "not checked")}
    if not as_json:
        typer.echo(", ".join(f"{count} {said}" for said, count in counts.items() if count) or "nothing to check")
    raise typer.Exit(int(counts["broken"] > 0))


def _answer(one: "LawCheck") -> dict[str, Any]:
    from mgbench.errors import Unfit

    said = {"plugin": one.plugin, "kind": one.kind, "spec": str(one.spec)}
    try:
        broken = one.broken()
    except Unfit as reason:
        return {**said, "outcome": "not checked", "reason": str(reason)}
    if broken is None:
        return {**said, "outcome": "holds"}
    return {**said, "outcome": "broken", "law": broken.law, "given": broken.given, "remedy": broken.remedy}


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer))
        return
    typer.echo(f"{answer['outcome']:<12} {answer['kind']} {answer['spec']}")
    for name in ("law", "given", "remedy", "reason"):
        if name in answer:
            typer.secho(f"{'':<12} {name}: {answer[name]}", dim=name != "law")
