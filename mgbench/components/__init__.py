"""Built-in components of every kind; each module is a plugin."""
