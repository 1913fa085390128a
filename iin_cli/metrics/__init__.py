"""Metrics: distances between sets of images, judges of edits, responses along walks, information of blocks."""
