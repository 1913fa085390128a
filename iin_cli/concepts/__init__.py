"""Concept providers: which images share a concept, or differ in that concept only.

labelled.py    share: two images with one label (`class`, `digit`, `color`, `label:NAME`)
attribute.py   share: two images with the same value of an attribute, or nearly the same if it is continuous
image_ops.py   differ: an image and the result of an operation (`greyscale`, `blur`, `brightness`, `rotation`)
redraw.py      differ: an image and the same one drawn again with another value of a column (`redraw:COLUMN`)
variants.py    the base of all differ concepts: groups of an image and its variants

All are reached by name through the registry, like those of a plugin.
"""
