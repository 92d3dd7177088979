"""What can be said of a program without running it: its costs and its summary."""
