"""The program run on sizes that are formulas, for what lives at one time."""
