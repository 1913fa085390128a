"""Recipes of the commands to start with."""
