"""The command line: one command, one file. Nothing here imports torch until a command needs it."""

import gc
import os
import sys

from mgbench.errors import UserError

# Objects made, and collections of the generation before, after which garbage is searched for: seldom enough that imports
# of PyTorch and pandas take no quarter longer for it.
_RARELY = (10_000, 10, 10)


def main() -> None:
    """Run the `mgbench` command. Errors that the user can correct are printed as a sentence, with exit code 2."""
    gc.set_threshold(*_RARELY)
    try:
        _run()
    except KeyboardInterrupt:
        # Before a command ran, which sees to it itself.
        sys.exit(130)
    finally:
        # What is left goes with the process; Python would search it for cycles before, for up to two seconds.
        gc.freeze()


def _run() -> None:
    from mgbench.cli.arguments.completion import whole_words
    from mgbench.cli.output.terminal import prepare, reader_left

    prepare()
    from mgbench.cli.app import app

    try:
        with whole_words(os.environ):
            app(prog_name="mgbench")
    except UserError as error:
        _refuse(str(error))
    except PermissionError as error:
        _refuse(f"cannot write {error.filename}: permission denied; choose another folder")
    except BrokenPipeError:
        reader_left()


def _refuse(message: str) -> None:
    from typer.main import get_command

    from mgbench.cli.app import app
    from mgbench.cli.command import advised
    from mgbench.cli.output.terminal import readable

    commands = getattr(get_command(app), "commands", {})
    print(f"mgbench: {readable(advised(message, sys.argv[1:], commands))}", file=sys.stderr)
    sys.exit(2)
