"""Measures: the Fréchet distance between sets of images, and how faithfully a swap answers."""
