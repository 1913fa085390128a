"""Files: checkpoints, weights of any origin, run folders, caches, and the authors' published format."""
