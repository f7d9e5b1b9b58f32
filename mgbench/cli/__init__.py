"""The command line: one command, one file. Nothing here imports torch until a command needs it."""

import sys

from mgbench.errors import UserError


def main() -> None:
    """Run the `mgbench` command; what a user can mend is shown as a sentence and exits with 2."""
    from mgbench.cli.app import app

    try:
        app()
    except UserError as error:
        print(f"mgbench: {error}", file=sys.stderr)
        sys.exit(2)
    except PermissionError as error:
        print(f"mgbench: cannot write {error.filename}: permission denied; choose another folder", file=sys.stderr)
        sys.exit(2)
