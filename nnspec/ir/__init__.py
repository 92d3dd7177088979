"""The program between the text and the emitted code: typed, hierarchical, with exact sizes."""
