"""Generative processes."""
