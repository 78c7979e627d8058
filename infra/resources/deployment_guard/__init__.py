"""Code of one of the stacks' own functions."""
