"""`mgbench check`: the laws of each kind, held to what a plugin brings."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mgbench.registry.laws import Held


def check(
    plugins: Annotated[list[str], typer.Argument(metavar="PLUGIN…", help="Names, .py files or modules of plugins.")],
    spec: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="A component with its options, such as 'exp(rate=2)'.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per component.")] = False,
) -> None:
    """Hold every component and method of a plugin to the laws of its kind; exits with 1 if one is broken."""
    from mgbench.registry.laws import held

    found = held(plugins, spec or ())
    answers = []
    for one in found:
        answers.append(_answer(one))
        _show(answers[-1], json)
    counts = {said: sum(answer["verdict"] == said for answer in answers) for said in ("holds", "broken", "not checked")}
    if not json:
        typer.echo(", ".join(f"{count} {said}" for said, count in counts.items() if count) or "nothing to check")
    raise typer.Exit(int(counts["broken"] > 0))


def _answer(one: "Held") -> dict[str, Any]:
    from mgbench.errors import Unfit

    said = {"plugin": one.plugin, "kind": one.kind, "spec": str(one.spec)}
    try:
        broken = one.broken()
    except Unfit as reason:
        return {**said, "verdict": "not checked", "reason": str(reason)}
    if broken is None:
        return {**said, "verdict": "holds"}
    return {**said, "verdict": "broken", "law": broken.law, "given": broken.given, "remedy": broken.remedy}


def _show(answer: dict[str, Any], json: bool) -> None:
    import json as json_module

    if json:
        typer.echo(json_module.dumps(answer))
        return
    typer.echo(f"{answer['verdict']:<12} {answer['kind']} {answer['spec']}")
    for name in ("law", "given", "remedy", "reason"):
        if name in answer:
            typer.secho(f"{'':<12} {name}: {answer[name]}", dim=name != "law")
