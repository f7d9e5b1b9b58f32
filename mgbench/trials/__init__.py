"""From a planned recipe to a stored record: fit, sample, score."""
