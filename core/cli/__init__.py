"""What a shell sees: python -m core <command>."""
