"""Extractors: feature networks that ship with mgbench, and pretrained ones."""
