"""Responses: how much the network's answer depends on each factor."""
