"""The scripts of `benchmarks/` run: with tiny models, and without an eye on how fast they are."""
