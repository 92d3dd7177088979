"""Codes E032x: what is computed while compiling."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0320",
        "arithmetic on something that is no number",
        "Signs such as `*` take numbers, `in` takes a list, and a place where a "
        "count is needed takes an integer.",
        'model M {\n  input x: [B, 64]\n  output y = x -> Linear("8" * 2)\n}\n',
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8 * 2)\n}\n",
    ),
    Explanation(
        "E0321",
        "a division by zero",
        "`a // 0`, `a / 0` and `a % 0` have no value.",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(64 // 0)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(64 // 2)\n}\n",
    ),
    Explanation(
        "E0322",
        "an index or range that does not fit",
        "Lists count from 0, and from the end with -1. The lists of a `zip` are "
        "of one length. A step is not 0.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  widths = [8, 16]\n"
        "  output y = x -> Linear(widths[2])\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  widths = [8, 16]\n"
        "  output y = x -> Linear(widths[1])\n"
        "}\n",
    ),
    Explanation(
        "E0323",
        "units that do not fit",
        "A number with a unit (`24GiB`, `4.2GMACs`) is compared with one of the "
        "same unit, and nothing else is done with it.",
        "model M {\n  input x: [B, 64]\n  require 24GiB > 26M\n  output y = x\n}\n",
        "model M {\n  input x: [B, 64]\n  require 24GiB > 26MB\n  output y = x\n}\n",
    ),
    Explanation(
        "E0324",
        "as many names as values",
        "An operator with several results needs a name for each; `_` takes one "
        "that is not needed.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  a, b, c = x -> split(2, dim=1)\n"
        "  output y = a + b + c\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  a, b = x -> split(2, dim=1)\n"
        "  output y = a + b\n"
        "}\n",
    ),
    Explanation(
        "E0325",
        "a condition that is no bool",
        "Nothing counts as true or false but `true` and `false`: compare first.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  n = 3\n"
        "  if n {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  n = 3\n"
        "  if n > 0 {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
    ),
    Explanation(
        "E0326",
        "a decision that a run-time size would make",
        "The shape of the graph is settled while compiling. What a size decides "
        "then must hold for every value of it: a `require` in the model tells.",
        "model M {\n"
        "  input x: [B, T, 64]\n"
        "  if T <= 128 {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
        "model M {\n"
        "  input x: [B, T, 64]\n"
        "  require T <= 64\n"
        "  if T <= 128 {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
    ),
    Explanation(
        "E0327",
        "a list is needed",
        "`for`, `len`, `sum` and the like go over a list or a range.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  for _ in 3 {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  for _ in range(3) {\n"
        "    x = relu(x)\n"
        "  }\n"
        "  output y = x\n"
        "}\n",
    ),
    Explanation(
        "E0328",
        "a float of a run-time size",
        "A float is a constant, and this size is not known while compiling. "
        "Inside of `ceil`, `floor` and `int`, decimal numbers are exact "
        "fractions and may meet sizes.",
        "model M {\n"
        "  input x: [B, T, 64]\n"
        "  output y = x -> mean(dim=1) -> resize(0.5 * T)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, T, 64]\n"
        "  n = ceil(0.5 * T)\n"
        "  output y = zeros([n])\n"
        "}\n",
    ),
    Explanation(
        "E0329",
        "a number without a value, or too large",
        "Such as the root of a negative number. Integers have at most 4096 "
        "bits, and a size is a sum of at most 400 terms.",
        "model M {\n  input x: [B, 64]\n  output y = x * sqrt(-2.0)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x * sqrt(2.0)\n}\n",
    ),
)
