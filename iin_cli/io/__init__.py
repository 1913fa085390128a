"""Files: checkpoints, run folders, caches, and the authors' published format."""
