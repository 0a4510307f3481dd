"""The comparing side."""
