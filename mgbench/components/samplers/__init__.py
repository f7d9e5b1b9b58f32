"""Samplers, which choose the positions to reveal before or after values are drawn, and reuse of predictions."""
