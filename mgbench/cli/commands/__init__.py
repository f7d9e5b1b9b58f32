"""The commands of `mgbench`: one file for each, with a function of its name."""
