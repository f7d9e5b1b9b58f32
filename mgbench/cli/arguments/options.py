"""Options that several commands share: their types, names and help texts."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli.arguments import completion

StudyFile = Annotated[
    Path | None,
    typer.Argument(metavar="STUDY.toml", help="A study file; the options below add to it.", show_default=False),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,…",
        help="Plugins whose methods to run: installed names, files (.py) or modules; all means every installed one.",
        show_default=False,
        autocompletion=completion.plugins,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field in every recipe, such as dataset=digits; may be repeated.",
        show_default=False,
        autocompletion=completion.settings,
    ),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=VALUE,…",
        help="Run every combination with each of these values (all: every component); may be repeated.",
        show_default=False,
        autocompletion=completion.settings,
    ),
]
Seeds = Annotated[
    list[str] | None,
    typer.Option(metavar="SEED,…", help="Training seeds; every seed trains a new model.", show_default=False),
]
SampleSeeds = Annotated[
    list[str] | None,
    typer.Option(metavar="SEED,…", help="Sampling seeds; each samples every trained model again.", show_default=False),
]
AlsoPlugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugins",
        metavar="NAME,…",
        help="Also load these plugin files or modules; may be repeated.",
        show_default=False,
        autocompletion=completion.plugins,
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,…",
        help="Only these methods of the plugins.",
        show_default=False,
        autocompletion=completion.methods,
    ),
]
Name = Annotated[
    str,
    typer.Option(help="Name of the study and of its report (default: the names of its plugins).", show_default=False),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,…",
        help="Log every trial with these plugins: tensorboard, wandb, mlflow, files or modules.",
        show_default=False,
        autocompletion=completion.trackers,
    ),
]
Assume = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FACT=N,…",
        help="What to assume of data that are not here: images, held_out, classes, side (default: ImageNet's).",
        show_default=False,
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Compute failed rows again.")]
Where = Annotated[str, typer.Option(metavar="CONDITION", help="Only these rows, such as 'sampler=halton and nfe<=16'.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Batch = Annotated[int, typer.Option(min=1, help="Images per sampling batch; does not change the images.")]
Results = Annotated[Path, typer.Option(help="Folder of stored results.")]
Reports = Annotated[Path, typer.Option(help="Output folder of the report.")]
Device = Annotated[str, typer.Option(help="auto, cpu, or one device such as cuda:1.")]
Devices = Annotated[
    str, typer.Option(help="auto (all GPUs, or all cores), cuda, cpu, cpu:2, or a list such as cuda:0,cuda:1.")
]
