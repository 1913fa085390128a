"""Signatures of the commands that turn one file into another."""
