"""Tercet: make an embedding model out of a language model, end to end."""

__version__ = "0.1.0"
