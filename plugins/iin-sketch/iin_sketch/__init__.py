"""Two sketches become a concept, by style transfer (paper §3.2, A.4)."""
