"""Sizes that are given from Python: what a model does not have, or cannot be, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecErrors
from nnspec.explore.axes import Axis
from nnspec.explore.sweep import Task, sweep
from nnspec.ir.dims import symbol
from nnspec.source import Source
from tests.ir.models import spec

NET = spec(
    """
    model Net {
      input x: [B, T, 4]
      require T <= 8
      output y = x -> Linear(2)
    }
    """
)


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        ({"Q": 3}, "E0302"),
        ({"b": 3}, "E0302"),
        ({"B": 0}, "E0705"),
        ({"B": "3"}, "E0705"),
        ({"B": 1.5}, "E0705"),
        ({"B": True}, "E0705"),
        ({"T": 9}, "E0503"),
    ],
)
def test_wrong_sizes_are_refused(sizes: dict[str, Any], code: str) -> None:
    for ask in (NET.cost, NET.summary):
        with pytest.raises(SpecErrors) as caught:
            ask(**sizes)
        assert [each.code for each in caught.value.diagnostics] == [code]


def test_sizes_may_stay_open() -> None:
    assert str(NET.cost(B=symbol("N"), T=2).flops) == "32 * N"


def test_a_target_that_does_not_exist_is_named() -> None:
    target: Any = "jax"
    with pytest.raises(ValueError, match="no target `jax`"):
        NET.source(target)


WINDOWS = """
block Stage(x: [B, C, H, W]) { return x -> conv: Conv(4, 5) -> relu }
model M {
  input x: [B, 3, H, W]
  input z: [B, T, 4]
  y = x -> Stage -> max_pool(3)
  output a = y -> mean(dim=[2, 3])
  output b = z[:, 2]
  output c = z[:, 1:]
}
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"H": "4", "W": "9"},
            "at H=4 `Conv` needs `H - 4` to be at least 1, and it is 0",
        ),
        ({"W": "6"}, "at W=6 `max_pool` needs"),
        ({"T": "1"}, "at T=1 `slicing` needs"),
        ({"T": "2"}, "at T=2 `slicing` needs `T - 2` to be at least 1, and it is 0"),
    ],
)
def test_sizes_at_which_an_axis_would_be_empty_are_refused(
    given: dict[str, str], said: str
) -> None:
    with pytest.raises(SpecErrors) as caught:
        load_source(Source("windows.nns", WINDOWS), ["M"], given)
    (found,) = caught.value.diagnostics
    assert found.code == "E0408"
    assert said in found.message
    assert found.location is not None
    assert found.hint is not None
    open_ = spec(WINDOWS)
    with pytest.raises(SpecErrors, match="needs"):
        open_.cost(**{name: int(size) for name, size in given.items()})


def test_the_least_sizes_at_which_no_axis_is_empty_are_taken() -> None:
    (made,) = load_source(
        Source("windows.nns", WINDOWS), ["M"], {"H": "7", "W": "7", "T": "3"}
    )
    assert made.cost(B=1).flops == 2 * 4 * 3 * 25 * 9


def test_a_sweep_says_which_points_have_an_empty_axis(tmp_path: Path) -> None:
    path = tmp_path / "windows.nns"
    path.write_text(WINDOWS)
    axes = [
        Axis("H", ("6", "7")),
        *(Axis(name, (size,)) for name, size in (("W", "9"), ("T", "3"), ("B", "1"))),
    ]
    small, large = sweep(Task(str(path), "M", ("flops",)), axes)
    assert small.fault is not None
    assert "`max_pool` needs" in small.fault
    assert large.fault is None
    assert large.figures == (2 * 4 * 3 * 25 * 3 * 5,)
