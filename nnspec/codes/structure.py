"""Codes E05xx: models, blocks, loops, requirements, what nnspec can bear."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0501",
        "something is made of itself",
        "A block, `fn` or constant that needs itself has no end. A stack of "
        "blocks is a `for` loop.",
        "a = b + 1\n"
        "b = a - 1\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(a)\n"
        "}\n",
        "b = 3\n"
        "a = b + 1\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(a)\n"
        "}\n",
    ),
    Explanation(
        "E0502",
        "the spec expands too far",
        "No architecture needs so many operations, loop turns, list elements, "
        "distinct blocks, or levels of blocks inside of blocks.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  for _ in range(10^9) {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  for _ in range(10) {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
    ),
    Explanation(
        "E0503",
        "a requirement does not hold",
        "A `require` says for which constants and sizes a block or model makes "
        "sense; the hint is what its author wrote.",
        "model M {\n"
        "  input x: [B, 64]\n"
        '  require 64 % 6 == 0, "the width must divide into the heads"\n'
        "  output y = x\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        '  require 64 % 8 == 0, "the width must divide into the heads"\n'
        "  output y = x\n"
        "}\n",
    ),
    Explanation(
        "E0504",
        "a requirement that cannot be decided or assumed",
        "In a model, a `require` directly behind the inputs can bound one size "
        "(`T <= 1024`) or make it a multiple (`H % 32 == 0`). In a block, it "
        "must follow from what the model requires.",
        "model M {\n"
        "  input x: [B, T, 64]\n"
        "  require T * T <= 4096\n"
        "  output y = x\n"
        "}\n",
        "model M {\n  input x: [B, T, 64]\n  require T <= 64\n  output y = x\n}\n",
    ),
    Explanation(
        "E0506",
        "a model without an output",
        "Each model has at least one statement `output name = value`.",
        "model M {\n  input x: [B, 64]\n  h = relu(x)\n}\n",
        "model M {\n  input x: [B, 64]\n  output h = relu(x)\n}\n",
    ),
    Explanation(
        "E0507",
        "`return` or `output` where it cannot stand",
        "A block or `fn` returns, a model outputs, and neither does so inside "
        "of a loop, where it would have a value for each turn.",
        "model M {\n  input x: [B, 64]\n  return relu(x)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = relu(x)\n}\n",
    ),
    Explanation(
        "E0508",
        "what a block returns",
        "A block or `fn` ends with `return`, with as many values as it "
        "declares; a list is returned item by item.",
        "block Head(x: [B, D]) {\n"
        "  y = x -> Linear(8)\n"
        "}\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Head\n"
        "}\n",
        "block Head(x: [B, D]) {\n"
        "  return x -> Linear(8)\n"
        "}\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Head\n"
        "}\n",
    ),
    Explanation(
        "E0509",
        "a budget that cannot be understood",
        "A budget stands in a model and bounds one of its costs by a number: "
        "`require cost.parameters <= 26M`. Sizes and assumptions are given by name: "
        '`cost.train_peak(B=32, policy="mixed_bf16")`.',
        "model M {\n"
        "  input x: [B, 64]\n"
        "  require cost.parameters == 4160\n"
        "  output y = x -> Linear(64)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  require cost.parameters <= 4160\n"
        "  output y = x -> Linear(64)\n"
        "}\n",
    ),
    Explanation(
        "E0510",
        "an annotation that does not exist",
        'The annotations are `@frozen`, `@checkpoint` and `@device("name")`. '
        "They stand before a statement, a block or a model.",
        "model M {\n  input x: [B, 64]\n  @jit\n  h = relu(x)\n  output y = h\n}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  @checkpoint\n"
        "  h = relu(x)\n"
        "  output y = h\n"
        "}\n",
    ),
    Explanation(
        "E0513",
        "`input` or `output` outside of a model",
        "Blocks take their tensors as parameters and return them.",
        "block Head(x: [B, D]) {\n"
        "  output y = relu(x)\n"
        "}\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Head\n"
        "}\n",
        "block Head(x: [B, D]) {\n"
        "  return relu(x)\n"
        "}\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Head\n"
        "}\n",
    ),
    Explanation(
        "E0514",
        "two inputs or outputs of one name",
        "Whoever runs the model tells them apart by their names.",
        "model M {\n  input x: [B, 64]\n  output y = x\n  output y = relu(x)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x\n  output z = relu(x)\n}\n",
    ),
)
