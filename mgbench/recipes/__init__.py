"""Specs, recipes, studies and the keys of their results, all as text. Nothing here imports torch."""
