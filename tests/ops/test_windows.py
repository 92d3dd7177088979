"""Cells that windows cover, against every window put down one by one."""

from __future__ import annotations

from itertools import product

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.setting import Setting
from nnspec.compiler import load_source
from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ops.windows import Windows
from nnspec.source import Source
from tests.ir.models import spec

SHAPES = [
    (kernel, stride, dilation)
    for kernel, stride, dilation in product((1, 2, 3), (1, 2, 3, 5), (1, 2, 3))
]
PADDINGS = [(0, 0), (1, 1), (0, 2), (3, 1)]


def counted(size: int, count: int, shape: tuple[int, ...], before: int) -> int:
    kernel, stride, dilation = shape
    places = product(range(count), range(kernel))
    cells = {turn * stride + dilation * cell - before for turn, cell in places}
    return len(cells & set(range(size)))


def at(value: Dim | None, size: int) -> int:
    assert value is not None
    return int(value.at({"W": size}))


@pytest.mark.parametrize("padding", PADDINGS)
def test_with_padding(padding: tuple[int, int]) -> None:
    width, (before, after) = symbol("W"), padding
    for kernel, stride, dilation in SHAPES:
        span = dilation * (kernel - 1)
        k, s, d = map(dim, (kernel, stride, dilation))
        count = (width + before + after - span - 1) // stride + 1
        open_ = Windows(width, count, k, s, d, (dim(before), dim(after))).seen()
        for size in range(max(1, span + 1 - before - after), 14):
            shape = (kernel, stride, dilation)
            truth = counted(size, int(count.at({"W": size})), shape, before)
            assert at(open_, size) == truth


def test_with_as_much_padding_as_it_takes() -> None:
    width, left_open = symbol("W"), 0
    for kernel, stride, dilation in SHAPES:
        k, s, d = map(dim, (kernel, stride, dilation))
        open_ = Windows(width, (width + stride - 1) // stride, k, s, d, None).seen()
        left_open += open_ is None
        for size in range(1, 14):
            count = -(-size // stride)
            missing = max(0, (count - 1) * stride + dilation * (kernel - 1) + 1 - size)
            shape = (kernel, stride, dilation)
            truth = counted(size, count, shape, missing // 2)
            known = Windows(dim(size), dim(count), k, s, d, None).seen()
            assert at(known, size) == truth
            assert open_ is None or at(open_, size) == truth
    # Windows with holes that leap, whose padding hangs on the size.
    assert left_open == sum(k > 1 and s > 1 and d > 1 for k, s, d in SHAPES)


BODIES = [
    "Conv(8, 1, stride=2)",
    "Conv(8, 3, stride=2)",
    "Conv(8, 3, stride=2, dilation=2, padding=1)",
    "Conv(8, 2, stride=[3, 2], padding=[[0, 1], [1, 0]])",
    'Conv(8, 2, stride=3, padding="same")',
    'Conv(8, 3, stride=2, padding=1, padding_mode="reflect")',
    "avg_pool(2, stride=3, ceil=true)",
    "avg_pool(3, stride=4, padding=1)",
]


@pytest.mark.framework
@pytest.mark.parametrize("body", BODIES)
def test_what_pytorch_gives_a_gradient(body: str) -> None:
    import torch

    from nnspec.verify.build import build

    model = spec(f"model M {{ input x: [B, 4, 13, 12]\n output y = x -> {body} }}")
    module, x = build(model, "torch"), torch.ones(1, 4, 13, 12, requires_grad=True)
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(1.0)
    module(x).sum().backward()
    assert x.grad is not None
    analysis = Analysis(model.program, Setting())
    weights = sum(weight.nelement() for weight in module.parameters())
    read = int(analysis.figure("bytes_read").at({"B": 1})) // 4 - weights
    assert read == int((x.grad != 0).sum())


def test_formulas_in_kernels_hold_where_windows_overlap_alike() -> None:
    text = (
        "model M(kernel: int = 3, stride: int = 2) {\n input x: [B, 4, W]\n"
        " output y = x -> Conv(8, kernel, stride=stride) }"
    )
    forms = load_source(Source("m.nns", text), ["M"], {})[0].closed_forms("bytes_read")
    for kernel, stride in ((3, 2), (5, 4), (1, 3), (2, 5)):
        constants = {"kernel": kernel, "stride": stride}
        if not forms.holds(constants, "bytes_read"):
            assert kernel < stride
            continue
        written = {name: str(value) for name, value in constants.items()}
        (other,) = load_source(Source("m.nns", text), ["M"], written)
        known = Analysis(other.program).figure("bytes_read")
        for size in (8, 9, 31):
            sizes = {"B": 3, "W": size}
            found = forms.at("bytes_read", {**constants, **sizes}).value
            assert found == known.at(sizes)
