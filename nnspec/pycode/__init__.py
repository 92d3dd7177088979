"""Python as a tree: what emitted programs are made of before they are text."""
