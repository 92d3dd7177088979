"""Figures in a spec's own constants: `12 * depth * width^2` where elaboration counted 84,934,656."""
