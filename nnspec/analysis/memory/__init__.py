"""Memory: what a program keeps, and the most that lives at once, by running it on sizes alone."""
