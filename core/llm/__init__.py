"""Gateway to OpenAI-compatible endpoints."""
