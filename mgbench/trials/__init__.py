"""Trials: plan a study, fit and train, sample, score, and store records."""
