"""Figures: grids of images and plots, written as PNG."""
