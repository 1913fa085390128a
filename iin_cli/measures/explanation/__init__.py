"""Explanations of single images: edits of each factor and the nearest real images."""
