"""What there is to run on: devices, links, nodes, and how they are described."""
