"""iin: an invertible translator from hidden representations to named factors."""
