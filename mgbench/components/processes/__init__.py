"""Processes: how an unfinished image becomes a finished one."""
