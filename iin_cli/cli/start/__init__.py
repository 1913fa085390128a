"""Signatures of the commands to start with."""
