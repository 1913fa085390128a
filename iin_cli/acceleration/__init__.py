"""Encoding at the speed of the hardware: which precision keeps a network's answers, and E computed in it."""
