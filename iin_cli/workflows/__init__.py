"""One recipe per command, under the same file name; also the Python API.

Workflows return frozen results and never print.
"""
