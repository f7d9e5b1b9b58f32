"""Metrics: distances between generated and real features."""
