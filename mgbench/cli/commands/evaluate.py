"""`mgbench evaluate`: scores of images made by other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.cli.output.as_json import print_json
from mgbench.cli.output.terminal import notify

if TYPE_CHECKING:
    from mgbench.stages.image_files import Floats
    from mgbench.trials.external import Answer


def evaluate(
    images: Annotated[
        Path,
        typer.Argument(
            help="A folder of pictures, an .npz (arr_0 as ADM writes it, our images.npz, or mu and sigma) or an .npy."
        ),
    ],
    reference: Annotated[
        str,
        typer.Option(
            help="Reference images: a data set such as digits, a path as above, or an .npz of mu and sigma.",
            autocompletion=completion.dataset,
        ),
    ],
    extractor: Annotated[
        str,
        typer.Option(
            help="Feature extractor (default: that of the data set, or inception).", autocompletion=completion.extractor
        ),
    ] = "",
    metrics: Annotated[
        str, typer.Option(help="Metrics, separated by commas.", autocompletion=completion.metrics)
    ] = "fid,kid,accuracy",
    held_out: Annotated[
        Path | None, typer.Option(help="More real images, scored as the floor; for references that are paths.")
    ] = None,
    floats: Annotated[
        str,
        typer.Option(
            help="How an array of floats becomes uint8: round (MAR, eMIGM), half_up (DiT) or cut (RAE, Halton)."
        ),
    ] = "",
    statistics: Annotated[
        Path | None,
        typer.Option(help="Write mu, sigma (and mu_s, sigma_s with sfid), N and the protocol to this .npz."),
    ] = None,
    plugins: options.AlsoPlugins = None,
    results: options.Results = Path("results"),
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Score images made by other programs, with the same references, metrics, floors and warnings as our own."""
    from mgbench.engines.devices import first_device
    from mgbench.recipes.spec import Spec, parse_list
    from mgbench.registry.loading import find, load
    from mgbench.trials import external as evaluation

    registry = load([find(name) for name in values.listed(plugins)])
    asked = tuple(Spec.parse(value) for value in parse_list(metrics))
    seen_by = Spec.parse(extractor) if extractor else None
    question = evaluation.Question(images, reference, seen_by, asked, held_out, _floats(floats))
    answer = evaluation.evaluate(registry, question, first_device(device), results)
    if statistics is not None:
        _write_statistics(statistics, answer)
    if as_json:
        print_json({"images": str(images), "count": answer.count, **vars(answer.result)})
    else:
        _print(images, answer)


def _floats(how: str) -> "Floats | None":
    from typing import get_args

    from mgbench.errors import UserError, suggestion
    from mgbench.stages.image_files import Floats

    if how and how not in get_args(Floats):
        raise UserError(f"--floats cannot be {how!r}; {suggestion(how, get_args(Floats))}")
    return cast("Floats", how) if how else None


def _write_statistics(path: Path, answer: "Answer") -> None:
    import numpy as np

    from mgbench.errors import UserError

    if not answer.statistics:
        raise UserError("--statistics writes those that a metric is computed from; ask for fid, and for sfid as well")
    try:
        with path.open("wb") as file:
            np.savez(file, **answer.statistics)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give another --statistics") from None


def _print(images: Path, answer: "Answer") -> None:
    from mgbench.report.labels import read_declaration
    from mgbench.report.measures import declared_name, number

    result = answer.result
    typer.secho(f"{images}: {_described(answer)}", bold=True)
    names = {name: declared_name(name, read_declaration(result.declared.get(name, {}))) for name in result.scores}
    room = max(map(len, names.values()), default=0)
    if result.floors:
        typer.secho(f"{'':<{room}}  {'images':>10}  {'real ones':>10}", dim=True)
    for name, shown in names.items():
        floor = number(result.floors[name]) if name in result.floors else ""
        typer.echo(f"{shown:<{room}}  {number(result.scores[name]):>10}  {floor:>10}".rstrip())
    typer.secho(f"protocol: {result.protocol}", dim=True)
    notify(*result.warnings)


def _described(answer: "Answer") -> str:
    if answer.shape is None:
        return f"statistics of {answer.count or 'an unknown number of'} images"
    channels, height, width = answer.shape
    return f"{answer.count} images, {height}x{width}, {'grey' if channels == 1 else 'colour'}"
