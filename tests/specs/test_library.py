"""The standard library: every block of every module, used from a spec."""

from __future__ import annotations

from importlib import resources

import pytest

import nnspec
from nnspec.source import Source
from nnspec.syntax.format import format_file

MODULES = sorted(
    entry.name
    for entry in resources.files("nnspec").joinpath("std").iterdir()
    if entry.name.endswith(".nns")
)

# What stands in the model, and its parameters for x: [B, 7, 32] and memory: [B, S, 24].
USES = [
    ("std.attention (SelfAttention)", "x -> SelfAttention(4)", 4 * 32 * 32 + 4 * 32),
    (
        "std.attention (SelfAttention)",
        "x -> SelfAttention(4, causal=true, bias=false, drop=0.1)",
        4 * 32 * 32,
    ),
    (
        "std.attention (CrossAttention)",
        "(x, memory) -> CrossAttention(4, mask=unsqueeze(mask, [1, 2]))",
        2 * 32 * 32 + 24 * 64 + 4 * 32,
    ),
    (
        "std.attention (MultiHeadAttention)",
        "(x, memory) -> MultiHeadAttention(4, 5, mask=unsqueeze(mask, [1, 2]))",
        (32 + 24 + 24) * 20 + 3 * 20 + 20 * 32 + 32,
    ),
    (
        "std.attention (MultiHeadAttention)",
        "(x, x) -> MultiHeadAttention(2, 5, value_dim=3, width=9, causal=true, bias=false)",
        2 * 32 * 10 + 32 * 6 + 6 * 9,
    ),
    ("std.feedforward (Mlp)", "x -> Mlp(48)", 2 * 32 * 48 + 48 + 32),
    (
        "std.feedforward (Mlp)",
        'x -> Mlp(48, act=gelu(approximate="tanh", ...), drop=0.1, bias=false)',
        2 * 32 * 48,
    ),
    ("std.feedforward (SwiGLU)", "x -> SwiGLU(48)", 3 * 32 * 48),
    ("std.positions (sinusoid)", "x + sinusoid(7, 32)", 0),
    (
        "std.positions (rotary, rotate)",
        "x\n  c, s = rotary(7, 32, stretch=8.0)\n  output z = rotate(x, c, s)",
        0,
    ),
    ("std.widths (make_divisible)", "x -> Linear(make_divisible(45.0))", 33 * 48),
    ("std.scale (LayerScale)", "x -> LayerScale", 32),
    ("std.scale (LayerScale)", "x -> LayerScale(0.1, dim=1)", 7),
]


@pytest.mark.parametrize("module", MODULES)
def test_module_is_formatted(module: str) -> None:
    text = resources.files("nnspec").joinpath("std", module).read_text()
    assert format_file(Source(module, text)) == text


@pytest.mark.parametrize(("use", "expression", "parameters"), USES)
def test_block_has_its_parameters(
    use: str, expression: str, parameters: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("library") / "model.nns"
    path.write_text(
        f"use {use}\n"
        "model M() {\n"
        "  input x: [B, 7, 32]\n"
        "  input memory: [B, S, 24]\n"
        "  input mask: bool[B, S]\n"
        f"  output y = {expression}\n"
        "  output others = memory\n"
        "  output seen = cast(mask, f32)\n"
        "}\n"
    )
    assert nnspec.load(str(path), "M").cost(B=1, S=5).parameters == parameters


def test_every_module_is_used_here() -> None:
    used = {use.removeprefix("std.").split()[0] for use, _, _ in USES}
    assert {f"{name}.nns" for name in used} == set(MODULES)
