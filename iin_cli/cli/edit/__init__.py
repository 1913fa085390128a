"""Signatures of the commands that edit representations."""
