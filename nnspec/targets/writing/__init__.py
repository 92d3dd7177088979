"""The two halves of an emitted class: its constructor and its forward pass, statement by statement."""
