"""The time of one sample: who runs what, in which order, and what no order can beat."""
