"""Exact sizes and figures as formulas that a person reads: simplified, grouped by growth, in several notations."""
