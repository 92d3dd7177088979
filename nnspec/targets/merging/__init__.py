"""What specialisations of a block, and turns of a loop, have in common: specialisations become classes again."""
