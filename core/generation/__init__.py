"""Prompts, tasks and examples written by a language model, and checks that need no person."""
