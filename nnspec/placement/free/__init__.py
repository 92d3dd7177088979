"""Plans without a line: any unit on any device."""
