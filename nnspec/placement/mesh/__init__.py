"""Meshes of equal devices: data, tensor and pipeline parallelism with schedules."""
