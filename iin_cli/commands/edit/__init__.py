"""Recipes of the commands that edit representations."""
