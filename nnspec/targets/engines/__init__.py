"""Programs for several devices: a model's stages, and what runs them on the engines that there are."""
