"""Everything that decides a run, as text: specs, recipes, studies and the keys of their results. Nothing here imports torch."""
