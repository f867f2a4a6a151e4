"""Replies read: schemas, parsing, mending, what becomes of them."""
