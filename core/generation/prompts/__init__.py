"""Prompt templates, their slots and versions."""
