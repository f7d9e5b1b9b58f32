"""Samplers that choose positions before values, or after them."""
