"""What is known of the names in formulas: which constants may be some, their conditions, and how amounts of them are written."""
