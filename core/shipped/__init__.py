"""Data that ships with the project: the starter set, the held-out collection and the gold faults (data/)."""
