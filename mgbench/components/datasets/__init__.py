"""Data sets: bundled images, and images from files."""
