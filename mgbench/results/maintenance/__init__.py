"""Maintenance of a results folder: its contents, damaged files, and files that can be removed."""
