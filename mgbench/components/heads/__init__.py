"""Heads, with the solvers and code draws that they use."""
