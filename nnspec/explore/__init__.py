"""Many models of one spec: what they cost, which of them are best, and the largest that fits."""
