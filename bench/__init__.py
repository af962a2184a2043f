"""Measurements at size: `python -m bench`. Nothing in the project imports this package, and no test asserts a time."""
