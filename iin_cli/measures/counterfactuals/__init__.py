"""Counterfactuals: the smallest edit of a factor with which the network says another class."""
