"""Audit: does each factor hold its concept, all of it and nothing else?"""
