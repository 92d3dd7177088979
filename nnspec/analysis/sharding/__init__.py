"""What tensor parallelism splits, and what each process holds of it."""
