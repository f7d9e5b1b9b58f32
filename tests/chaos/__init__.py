"""Studies that are killed at random moments, and whose files are damaged: `python -m tests.chaos --kills 20 --damage`."""
