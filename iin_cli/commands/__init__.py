"""One recipe per command: open, do one thing, write."""
