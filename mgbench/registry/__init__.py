"""The offers of the loaded plugins, and the way from a recipe to components and keys."""
