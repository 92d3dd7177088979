"""Codes E04xx: what operators say of the tensors that they are given, and E0505, of claims."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0401",
        "an operator refuses its tensors",
        "For a reason that has no code of its own. The message gives it.",
        "",
        "model M {\n  input x: [B, 64]\n  output y = relu(x)\n}\n",
    ),
    Explanation(
        "E0402",
        "an axis that does not exist",
        "Axes count from 0, or from the end with -1. Each is named once.",
        "model M {\n  input x: [B, 64]\n  output y = x -> softmax(dim=2)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> softmax(dim=1)\n}\n",
    ),
    Explanation(
        "E0403",
        "the wrong number of axes",
        "Images are [batch, channels, height, width] in every backend; "
        "sequences [batch, time, features].",
        "model M {\n  input x: [B, 64]\n  output y = x -> Conv(8, 3)\n}\n",
        "model M {\n  input x: [B, 3, 32, 32]\n  output y = x -> Conv(8, 3)\n}\n",
    ),
    Explanation(
        "E0404",
        "the wrong type of elements",
        "Nothing is converted in silence. `cast(x, float)` converts, and an "
        "input can be declared with its type: `i64[B, T]`.",
        "model M {\n  input x: [B, T]\n  output y = x -> Embedding(100, 8)\n}\n",
        "model M {\n  input x: i64[B, T]\n  output y = x -> Embedding(100, 8)\n}\n",
    ),
    Explanation(
        "E0405",
        "two types of elements that do not mix",
        "Convert one of them with `cast`.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  input ids: i64[B, 64]\n"
        "  output y = x + ids\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  input ids: i64[B, 64]\n"
        "  output y = x + cast(ids, float)\n"
        "}\n",
    ),
    Explanation(
        "E0406",
        "sizes that must agree do not",
        "The message says which sizes met, the labels where each tensor was made.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  a = x -> Linear(8)\n"
        "  output y = concat([a, x], dim=0)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  a = x -> Linear(64)\n"
        "  output y = concat([a, x], dim=0)\n"
        "}\n",
    ),
    Explanation(
        "E0407",
        "a size that does not divide",
        "Groups divide channels, heads divide widths, parts divide an axis. For "
        "a size known at run time, `require T % 2 == 0` says that it does.",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        "  output y = x -> Conv(8, 3, groups=2)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        "  output y = x -> Conv(9, 3, groups=3)\n"
        "}\n",
    ),
    Explanation(
        "E0408",
        "an axis would be empty",
        "Every axis has at least 1 element: the window must fit into what it "
        "moves over, a slice must take something.",
        "model M {\n  input x: [B, 3, 32, 32]\n  output y = x -> max_pool(64)\n}\n",
        "model M {\n  input x: [B, 3, 32, 32]\n  output y = x -> max_pool(32)\n}\n",
    ),
    Explanation(
        "E0409",
        "arguments that contradict the tensors or one another",
        "The message says which and why.",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        "  output y = x -> max_pool(2, padding=2)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        "  output y = x -> max_pool(2, padding=1)\n"
        "}\n",
    ),
    Explanation(
        "E0410",
        "a pattern that does not fit",
        "Each side names every axis once; names in parentheses are axes that "
        "are merged or split. `...` stands for any others.",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        '  output y = x -> rearrange("b c h w -> b c h")\n'
        "}\n",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        '  output y = x -> rearrange("b c h w -> b c (h w)")\n'
        "}\n",
    ),
    Explanation(
        "E0411",
        "shapes that do not broadcast",
        "Axes are compared from the last. Two sizes fit if they are equal, or "
        "if one of them is the number 1. A size known at run time is never "
        "taken for 1.",
        "model M {\n  input x: [B, 64]\n  a = x -> Linear(32)\n  output y = a + x\n}\n",
        "model M {\n  input x: [B, 64]\n  a = x -> Linear(64)\n  output y = a + x\n}\n",
    ),
    Explanation(
        "E0413",
        "a weight of a run-time size",
        "Weights are made before any data is seen, so their sizes are constants.",
        "model M {\n  input x: [B, T]\n  output y = x -> Linear(8)\n}\n",
        "model M {\n  input x: [B, 16]\n  output y = x -> Linear(8)\n}\n",
    ),
    Explanation(
        "E0414",
        "one layer on two widths",
        "A layer that is made once (`fc = Linear(8)`) has one set of weights "
        "for all its uses.",
        "model M {\n"
        "  input a: [B, 64]\n"
        "  input b: [B, 32]\n"
        "  fc = Linear(8)\n"
        "  output y = fc(a) + fc(b)\n"
        "}\n",
        "model M {\n"
        "  input a: [B, 64]\n"
        "  input b: [B, 32]\n"
        "  output y = (a -> Linear(8)) + (b -> Linear(8))\n"
        "}\n",
    ),
    Explanation(
        "E0505",
        "a claim that is not proven",
        "A type behind a name claims what the shape is, for every value of the "
        "sizes known at run time. The message shows both sides.",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        "  h: [B, 8, 32, 32] = x -> Conv(8, 3)\n"
        "  output y = h\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 3, 32, 32]\n"
        "  h: [B, 8, 30, 30] = x -> Conv(8, 3)\n"
        "  output y = h\n"
        "}\n",
    ),
)
