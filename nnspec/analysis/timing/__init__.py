"""How long a program takes: devices, rooflines, calibration, and the training of a budget."""
