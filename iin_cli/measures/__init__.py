"""Measurements of an interpretation, one folder each."""
