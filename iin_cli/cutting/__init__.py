"""Cut any network behind one of its layers, so that what the layer gives becomes a latent."""
