"""Constants of blocks, as numbers and as formulas at once."""
