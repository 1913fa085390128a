"""How much of a latent each concept takes: evidence, sizes, layers."""
