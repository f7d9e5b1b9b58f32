"""Heads, with the solvers and code draws they ask for."""
