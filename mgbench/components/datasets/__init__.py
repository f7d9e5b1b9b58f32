"""Datasets: embedded images and images from files."""
