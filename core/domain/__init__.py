"""The words of the project: pure values, no libraries but pydantic."""
