"""The kinds of devices that presets and cluster files can name without describing them."""

from __future__ import annotations

from collections.abc import Mapping

FIGURES: Mapping[str, Mapping[str, object]] = {
    "cpu": {
        "memory": "16GiB",
        "flops": {"float64": "50GFLOP/s", "float32": "100GFLOP/s"},
        "bandwidth": "20GB/s",
        "launch": "1us",
        "port": {"bandwidth": "10GB/s", "latency": "10us"},
    },
    "h100": {
        "memory": "80GB",
        "reserved": "2GiB",
        "flops": {
            "float64": "67TFLOP/s",
            "float32": "67TFLOP/s",
            "tf32": "494.5TFLOP/s",
            "bfloat16": "989TFLOP/s",
            "float16": "989TFLOP/s",
        },
        "bandwidth": "3.35TB/s",
        "launch": "4us",
        "port": {"bandwidth": "450GB/s", "latency": "2us"},
    },
    "h200": {
        "memory": "141GB",
        "reserved": "2GiB",
        "flops": {
            "float64": "67TFLOP/s",
            "float32": "67TFLOP/s",
            "tf32": "494.5TFLOP/s",
            "bfloat16": "989TFLOP/s",
            "float16": "989TFLOP/s",
        },
        "bandwidth": "4.8TB/s",
        "launch": "4us",
        "port": {"bandwidth": "450GB/s", "latency": "2us"},
    },
}
"""Published dense figures of the vendor's data sheets (SXM boards); NVLink 4 moves 450 GB/s
each way. The CPU stands for one process of a laptop."""


def known_kinds() -> Mapping[str, Mapping[str, object]]:
    """The fields of each kind by its name, as a cluster file would write them."""
    return FIGURES
