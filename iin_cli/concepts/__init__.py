"""Concept providers: what makes a pair of images share a concept, or differ in nothing else.

labelled.py    share: two images with one label (`class`, `digit`, `color`, `label:NAME`)
image_ops.py   differ: an image and what an operation makes of it (`greyscale`)

All are reached by name through the registry, as a plugin's are.
"""
