"""Checks that share no code with what they check: nothing here imports `services` or `streams`."""
