"""Engines: run trials in processes on this machine or on a cluster."""
