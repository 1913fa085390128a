"""Concept providers: what makes a pair of images share a concept, or differ in nothing else.

labelled.py    share: two images with one label (`class`, `digit`, `color`, `label:NAME`)
attribute.py   share: two images with one value of an attribute, or nearly one of a continuous attribute
image_ops.py   differ: an image and what an operation makes of it (`greyscale`, `blur`, `brightness`, `rotation`)
redraw.py      differ: an image and the same one drawn again with another value of a column (`redraw:COLUMN`)
variants.py    what the two differ concepts have in common: groups of an image and its variants

All are reached by name through the registry, as a plugin's are.
"""
