"""The daemon as clients see it."""
