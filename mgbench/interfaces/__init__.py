"""The interface for plugins: protocols of components, the data that they exchange, randomness, progress and tracking."""
