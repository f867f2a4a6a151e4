"""Long work as detached processes: a row, a folder, an events file."""
