"""Rebuilding what follows from the log, comparing it with what is there, and putting it in its place."""
