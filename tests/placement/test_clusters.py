"""Clusters: from names, from TOML, and what is said of wrong ones."""

from __future__ import annotations

import math

import pytest

from nnspec.analysis.quantities import (
    BANDWIDTH,
    BYTES,
    RATE,
    SECONDS,
    Unit,
    read_number,
)
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.placement.clusters.file import preset, read_cluster
from nnspec.placement.graph import Value

TWO_NODES = """
[kinds.h100]
reserved = "4GiB"
reached = 0.5

[links.infiniband]
bandwidth = "50GB/s"
latency = "5us"
shared = true

[[nodes]]
name = "node"
count = 2
devices = { h100 = 2, cpu = 1 }
uplink = "infiniband"
"""


@pytest.mark.parametrize(
    ("name", "devices", "first"),
    [
        ("cpu", 1, "cpu:0"),
        ("2xcpu", 2, "cpu:0"),
        ("4xcpu", 4, "cpu:0"),
        ("8xh100", 8, "h100:0"),
        ("8xh200", 8, "h200:0"),
        ("64x8xh200", 512, "node0/h200:0"),
    ],
)
def test_presets(name: str, devices: int, first: str) -> None:
    cluster = preset(name)
    assert (len(cluster.devices), cluster.devices[0].name) == (devices, first)
    assert cluster.name == name
    assert len(cluster.index) == devices


def test_a_file_changes_what_the_catalogue_says() -> None:
    cluster = read_cluster(TWO_NODES)
    kind = cluster.kinds["h100"]
    assert (kind.reserved, kind.reached) == (4 * 2**30, 0.5)
    assert kind.usable == 80 * 10**9 - 4 * 2**30
    names = [device.name for device in cluster.devices]
    assert names[:3] == ["node0/h100:0", "node0/h100:1", "node0/cpu:0"]


def test_routes_pass_the_uplinks_of_both_nodes() -> None:
    cluster = read_cluster(TWO_NODES)
    assert cluster.between(0, 1) == ()
    links = [link.name for link in cluster.between(0, 3)]
    assert links == ["node0/infiniband", "node1/infiniband"]
    moved = cluster.between(0, 3)[0].kind.seconds(Value(0, (1,), bytes=50_000_000))
    assert moved == pytest.approx(5e-6 + 1e-3)


def test_routes_can_be_given() -> None:
    direct = '\n[[routes]]\nbetween = ["node0", "node1"]\nlinks = ["infiniband"]\n'
    cluster = read_cluster(TWO_NODES + direct)
    assert [link.name for link in cluster.between(0, 3)] == ["infiniband"]
    assert [link.name for link in cluster.between(3, 0)] == ["infiniband"]


def test_the_time_of_an_operator_is_its_roofline() -> None:
    kind = read_cluster(TWO_NODES).kinds["h100"]
    launch = kind.launch
    assert kind.seconds(989.4e12 / 2, 0, "bf16") == pytest.approx(1 + launch)
    assert kind.seconds(1, 3.35e12, "bf16") == pytest.approx(1 + launch)
    with pytest.raises(SpecError) as caught:
        kind.seconds(1, 0, "int4")
    assert caught.value.diagnostic.code == "E1004"


@pytest.mark.parametrize(
    ("written", "unit", "base"),
    [
        ("80GiB", BYTES, 80 * 2**30),
        ("80 GB", BYTES, 80 * 10**9),
        (1024, BYTES, 1024),
        ("1.5KiB", BYTES, 1536),
        ("3.35TB/s", BANDWIDTH, 3.35e12),
        ("400Gbit/s", BANDWIDTH, 50e9),
        ("989TFLOPs", RATE, 989e12),
        ("989TFLOP/s", RATE, 989e12),
        ("4us", SECONDS, 4e-6),
        ("2.5ms", SECONDS, 2.5e-3),
    ],
)
def test_amounts(written: object, unit: Unit, base: float) -> None:
    assert math.isclose(read_number(written, unit), base, rel_tol=1e-15)


WRONG = {
    "E1001": ["a =", "[[nodes]"],
    "E1002": [
        "",
        "nodes = []",
        "[[nodes]]\ndevices = { h100 = 0 }",
        "[[nodes]]\ndevices = { h100 = 1 }\nspeed = 3",
        "kinds = 3\n[[nodes]]\ndevices = { h100 = 1 }",
        "[kinds.h100]\nreached = 1.5\n[[nodes]]\ndevices = { h100 = 1 }",
    ],
    "E1003": [
        '[kinds.h100]\nmemory = "80 potatoes"\n[[nodes]]\ndevices = { h100 = 1 }',
        '[kinds.h100]\nmemory = "80GB/s"\n[[nodes]]\ndevices = { h100 = 1 }',
        "[kinds.h100]\nmemory = -1\n[[nodes]]\ndevices = { h100 = 1 }",
        "[kinds.h100]\nmemory = true\n[[nodes]]\ndevices = { h100 = 1 }",
        '[kinds.h100]\nmemory = "0.3B"\n[[nodes]]\ndevices = { h100 = 1 }',
        '[links.l]\nbandwidth = "4us"\n[[nodes]]\ndevices = { h100 = 1 }',
        '[kinds.h100.flops]\nbf16 = "9TB"\n[[nodes]]\ndevices = { h100 = 1 }',
    ],
    "E1004": ["[[nodes]]\ndevices = { h1000 = 1 }"],
    "E1005": [
        '[[nodes]]\ndevices = { h100 = 1 }\nuplink = "x"',
        "[[nodes]]\ndevices = { h100 = 1 }\n[[nodes]]\ndevices = { h100 = 1 }",
        "[[nodes]]\ndevices = { h100 = 1 }\n"
        '[[routes]]\nbetween = ["node", "b"]\nlinks = []',
    ],
}


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in WRONG.items() for text in texts]
)
def test_wrong_files_are_told_apart(code: str, text: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        read_cluster(text)
    assert {found.code for found in caught.value.diagnostics} == {code}


def test_the_message_names_the_field_and_an_example() -> None:
    with pytest.raises(SpecErrors) as caught:
        read_cluster(WRONG["E1003"][0])
    (found,) = caught.value.diagnostics
    assert found.message == (
        "`kinds.h100.memory`: `potatoes` is no unit of bytes; write bytes as in `80GB`"
    )


@pytest.mark.parametrize("name", ["8xh101", "h101", "0xh100", "-1xh100", "8 x h100"])
def test_unknown_presets(name: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        preset(name)
    assert {found.code for found in caught.value.diagnostics} <= {"E1004", "E1002"}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[kinds.cpu]\nmemory = " + "9" * 5000, "E1001", "Exceeds the limit"),
        ('[kinds.cpu]\nreserved = "900TiB"', "E1003", "more memory is reserved"),
        ('[[routes]]\nbetween = ["n0", "n0"]\nlinks = []', "E1005", "to itself"),
        (
            '[[routes]]\nbetween = ["n0", "n1"]\nlinks = []\n'
            '[[routes]]\nbetween = ["n1", "n0"]\nlinks = []',
            "E1005",
            "two routes",
        ),
        ('[[nodes]]\nname = "empty"\ndevices = {}', "E1002", "at least 1 item"),
        ('[[nodes]]\nname = "m"\ncount = 99999\ndevices = {cpu = 99999}', "E1002", "9,999,800,003"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_in_a_file(text: str, code: str, said: str) -> None:
    nodes = '[[nodes]]\nname = "n"\ncount = 2\ndevices = { cpu = 1 }\n'
    with pytest.raises(SpecErrors) as caught:
        read_cluster(nodes + text + "\n")
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert said in caught.value.diagnostics[0].message
