"""Collections, metrics, significance and reports."""
