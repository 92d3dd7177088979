"""Codes E07xx: files, the library, settings."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0701",
        "there is no such library module",
        "The library is used by module: `use std.attention (SelfAttention)`.",
        "use std.atention (SelfAttention)\n",
        "use std.attention (SelfAttention)\n",
    ),
    Explanation(
        "E0702",
        "another file is used",
        "A spec cannot use another file yet: copy the blocks, or use the library.",
        'use "blocks.nns" (Head)\n',
        "use std.attention (SelfAttention)\n",
    ),
    Explanation(
        "E0703",
        "the library module has no such name",
        "The hint names the nearest one, or lists them.",
        "use std.attention (SelfAtention)\n",
        "use std.attention (SelfAttention)\n",
    ),
    Explanation(
        "E0704",
        "no single model is meant",
        "A file with several models needs the name of one: `nnspec summary "
        "file.nns:Name`.",
        "",
        "model M {\n  input x: [B, 64]\n  output y = x\n}\n",
    ),
    Explanation(
        "E0705",
        "a setting that is no value",
        "`key=value` sets a constant or a size. The value is written as in a "
        'spec: `depths=[2,2]`, `B=8`, `name="x"`.',
        "",
        "model M {\n  input x: [B, 64]\n  output y = x\n}\n",
    ),
    Explanation(
        "E0706",
        "the program would stand in the way of a package",
        "Python looks for packages beside a program first, so `import torch` would find a "
        "file `torch.py` there instead of PyTorch. Give the program a name that no module of "
        "the standard library, no framework and nothing that these import has: "
        "`-o resnet50.py`.",
        "",
        "model M {\n  input x: [B, 64]\n  output y = x\n}\n",
    ),
)
