"""The kinds of devices that presets and cluster files name without describing them.

Their figures are those of `nnspec devices`, users' own devices included; what is known
here besides is the link of each to the others of its node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.analysis.timing.device import device_names, load_device

_PCIE_4 = {"bandwidth": "32GB/s", "latency": "10us"}
_PCIE_5 = {"bandwidth": "64GB/s", "latency": "10us"}

PORTS: Mapping[str, Mapping[str, str]] = {
    # Half of the two-way NVLink bandwidth that NVIDIA's data sheets state.
    "v100": {"bandwidth": "150GB/s", "latency": "2us"},
    "a100": {"bandwidth": "300GB/s", "latency": "2us"},
    "a100-40gb": {"bandwidth": "300GB/s", "latency": "2us"},
    "h100": {"bandwidth": "450GB/s", "latency": "2us"},
    "h200": {"bandwidth": "450GB/s", "latency": "2us"},
    "b200": {"bandwidth": "900GB/s", "latency": "2us"},
    # Half of the Infinity Fabric bandwidth of AMD's data sheets, seven links of 64 GB/s.
    "mi300x": {"bandwidth": "448GB/s", "latency": "2us"},
    "mi325x": {"bandwidth": "448GB/s", "latency": "2us"},
    # Sixteen lanes of PCI Express, as the cards' data sheets say.
    "h100-pcie": _PCIE_5,
    "l4": {"bandwidth": "16GB/s", "latency": "10us"},
    "l40s": _PCIE_4,
    "t4": {"bandwidth": "16GB/s", "latency": "10us"},
    "rtx3090": _PCIE_4,
    "rtx4090": _PCIE_4,
    "rtx5090": _PCIE_5,
}
OTHER_PORT: Mapping[str, str] = {"bandwidth": "10GB/s", "latency": "20us"}
"""Of kinds that are not listed: processes of one host that exchange copies in memory."""


def known_kinds() -> list[str]:
    """The names of all kinds."""
    return device_names()


def kind_fields(name: str) -> dict[str, Any]:
    """The fields of a kind as a cluster file would write them. Raises SpecError."""
    device = load_device(name)
    fields: dict[str, Any] = {
        "memory": device.memory.text,
        "flops": {element: rate.text for element, rate in device.rates().items()},
        "bandwidth": device.bandwidth.text,
        "port": dict(PORTS.get(name, OTHER_PORT)),
    }
    if device.launch is not None:
        fields["launch"] = device.launch.text
    return fields
