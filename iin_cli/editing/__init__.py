"""Edits of a representation: swaps, walks, attribute axes, priors to sample from."""
