"""The queue, decisions and undo, and frozen dataset versions."""
