"""Contiguous plans: units stand in a line, and each device takes a stretch of it."""
