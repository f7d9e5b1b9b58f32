"""Costs and times of trials before they run."""
