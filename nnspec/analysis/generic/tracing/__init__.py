"""The program once more with formulas for sizes, for the figures that add up over its nodes."""
