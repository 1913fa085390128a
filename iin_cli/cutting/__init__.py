"""Cut any network behind one of its layers, so that the layer's output becomes the latent z."""
