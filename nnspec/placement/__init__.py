"""Placement: which device runs what, found with a proof and checked by simulation."""
