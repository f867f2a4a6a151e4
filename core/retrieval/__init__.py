"""Indexes, search, the lexical baseline and corpora."""
