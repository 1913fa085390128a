"""Latents on disk and in memory: every item encoded once, tables of rows, pairs inside groups, files."""
