"""All that a plugin imports: protocols of components, the data that pass between them, randomness, progress."""
