"""Loops of that program: one turn that is said for all."""
