"""Stages of a trial: tokenize, train, sample, evaluate. Stages depend on kinds, never on components or plugins."""
