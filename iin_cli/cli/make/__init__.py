"""Signatures of the commands that train and fit."""
