"""Metrics of generated images, most of them distances to real images."""
