"""`mgbench new-plugin`: create an installable project with a working component as a starting point."""

from pathlib import Path
from string import Template
from typing import Annotated

import typer

from mgbench.cli.arguments import completion
from mgbench.errors import UserError, suggestion

_TEMPLATES = Path(__file__).parents[1] / "templates"
# Those that there is something to start from.
_KINDS = sorted(path.stem for path in (_TEMPLATES / "kinds").glob("*.txt"))


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the component and of its plugin, such as ramp.")],
    kind: Annotated[
        str, typer.Option(help=f"One of {', '.join(_KINDS)}.", show_default=False, autocompletion=completion.kind)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Output folder (default: mgbench-NAME).", show_default=False),
    ] = None,
) -> None:
    """Create a project with one component of a kind, which works, passes the laws, and can be installed unchanged."""
    from mgbench.recipes.kinds import EVERY_KIND

    known = EVERY_KIND.get(kind.replace("-", "_"))
    if known is None:
        raise UserError(f"no kind is called {kind!r}; {suggestion(kind, _KINDS)}")
    kind = known.offered_as or known.name
    if kind not in _KINDS:
        raise UserError(f"there is no project of a {kind} to start from; choose one of {', '.join(_KINDS)}")
    _check_name(name, kind)
    folder = output or Path(f"mgbench-{name.replace('_', '-')}")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; choose another folder with -o")
    for path, text in project(name, kind).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    typer.echo(f"{folder}/mgbench_{name}.py holds the {kind.replace('_', ' ')} {name!r}; the next steps, in {folder}:")
    for command, about in _next(name):
        typer.echo(f"  {command:<34} {about}")


def _next(name: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"mgbench check mgbench_{name}.py", "checks the laws of its kind"),
        ("pip install -e .", "installs it; then mgbench plugins lists it"),
        ("pytest", "run its tests"),
    )


def _check_name(name: str, kind: str) -> None:
    from mgbench.registry.loading import installed, load

    if not (name.isidentifier() and name.islower()):
        near = "".join(letter if letter.isalnum() else "_" for letter in name.lower())
        raise UserError(f"{name!r} cannot name a component; take lower-case letters, digits and _, such as {near!r}")
    taken = load().names(kind).get(name)
    if taken or name in installed():
        raise UserError(f"{name!r} is the name of a {'component' if taken else 'plugin'} already; choose another")


def project(name: str, kind: str) -> dict[str, str]:
    """The files of a project, by path."""
    from mgbench import __version__
    from mgbench.recipes.kinds import EVERY_KIND

    words = {
        "name": name,
        "Name": "".join(word.title() for word in name.split("_")),
        "dist": name.replace("_", "-"),
        "kind": kind,
        "words": kind.replace("_", " "),
        "question": EVERY_KIND[kind].question,
        "version": __version__,
    }
    files = {Template(path).substitute(words): text for path, text in _templates(kind)}
    return {path: Template(text).substitute(words) for path, text in files.items()}


def _templates(kind: str) -> list[tuple[str, str]]:
    """Paths and texts of the templates in the package."""
    shared = {
        "pyproject.toml": "pyproject.txt",
        "README.md": "readme.txt",
        "test_$name.py": "test.txt",
        ".github/workflows/tests.yml": "workflow.txt",
        "mgbench_$name.py": f"kinds/{kind}.txt",
    }
    return [(path, (_TEMPLATES / source).read_text(encoding="utf-8")) for path, source in shared.items()]
