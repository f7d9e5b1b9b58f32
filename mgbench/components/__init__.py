"""The plainest answer of each kind; every file here is a plugin like any other."""
