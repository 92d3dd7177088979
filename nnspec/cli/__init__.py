"""The command line: the only part of nnspec that prints, and that ends the process."""
