"""What the loaded plugins offer, and how a recipe becomes components and keys."""
