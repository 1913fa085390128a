"""What a recipe makes of an image: the edited latent, what the network answers, and the real images around it."""
