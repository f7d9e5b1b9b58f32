"""Readers and writers of checkpoints from other code bases."""
