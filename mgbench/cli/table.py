"""A study's results as a table in the terminal."""

from pathlib import Path


def print_table(results: Path, study: str | None) -> None:
    """Print one line per method and number of steps."""
