"""Mask schedules, maskings, loss weightings, time grids and guidance schedules."""
