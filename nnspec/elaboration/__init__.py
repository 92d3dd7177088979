"""From the tree of a file to a typed program: names, constants, statements, types and claims."""
