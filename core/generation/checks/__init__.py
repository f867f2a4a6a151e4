"""Checks that flag triples without a person."""
