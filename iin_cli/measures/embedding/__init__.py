"""Maps of latents and factors."""
