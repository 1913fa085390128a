"""Recipes of the commands that describe what there is."""
