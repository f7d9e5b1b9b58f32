"""The laws of each kind."""
