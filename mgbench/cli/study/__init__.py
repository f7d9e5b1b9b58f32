"""The study of a command: selected, named, its claims checked, computed."""
