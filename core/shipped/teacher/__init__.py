"""The recorded teacher: an OpenAI-compatible endpoint that answers from the starter set."""
