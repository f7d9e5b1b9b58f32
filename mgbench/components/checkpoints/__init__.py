"""Checkpoints of published code, read into our networks."""
