"""Recipes of the commands that measure an interpretation."""
