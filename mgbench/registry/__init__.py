"""The components and recipes of the loaded plugins, and the resolution of a recipe into components and keys."""
