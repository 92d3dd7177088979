"""Codes E030x and E031x: what is handed to layers, operators, blocks and functions."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0301",
        "a constant is missing",
        "A parameter without a default must be given.",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8)\n}\n",
    ),
    Explanation(
        "E0302",
        "there is no such parameter",
        "The hint names the nearest one, or lists them. `nnspec ops NAME` shows "
        "the page of an operator.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(8, use_bias=false)\n"
        "}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8, bias=false)\n}\n",
    ),
    Explanation(
        "E0303",
        "too many constants",
        "Constants without a name are given in the order of the parameters.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(8, true, 3, 4, 5)\n"
        "}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8, true)\n}\n",
    ),
    Explanation(
        "E0304",
        "a parameter is given twice",
        "Once without a name, by its place, and once with it.",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8, features=16)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(16)\n}\n",
    ),
    Explanation(
        "E0305",
        "a constant of another kind",
        "A parameter says what it takes: `int`, `float`, `bool`, `str`, "
        "`dtype`, `block`, `fn`, or a list of them. Nothing is converted, "
        "except an integer to a float.",
        "block Head(x: [B, D], classes: int) {\n"
        "  return x -> Linear(classes)\n"
        "}\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        '  output y = x -> Head("10")\n'
        "}\n",
        "block Head(x: [B, D], classes: int) {\n"
        "  return x -> Linear(classes)\n"
        "}\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Head(10)\n"
        "}\n",
    ),
    Explanation(
        "E0306",
        "a tensor is missing",
        "Tensors come along the arrow, several of them in parentheses: `(q, k, "
        "v) -> attention`.",
        "model M {\n  input x: [B, T, 64]\n  output y = x -> matmul\n}\n",
        "model M {\n"
        "  input x: [B, T, 64]\n"
        "  output y = (x, transpose(x)) -> matmul\n"
        "}\n",
    ),
    Explanation(
        "E0307",
        "too many tensors",
        "More tensors come along the arrow than the callee takes.",
        "model M {\n  input x: [B, 64]\n  output y = (x, x) -> relu\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = (x + x) -> relu\n}\n",
    ),
    Explanation(
        "E0308",
        "a tensor where a constant belongs, or the reverse",
        "Tensors exist at run time, constants while compiling. The parentheses "
        "of a layer hold constants; what depends on data is done by an operator "
        "such as `where`.",
        "model M {\n  input x: [B, 64]\n  output y = Linear(x)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8)\n}\n",
    ),
    Explanation(
        "E0309",
        "an argument that the operator refuses",
        "The message says what it takes and what was given.",
        "model M {\n  input x: [B, 64]\n  output y = x -> Dropout(1.5)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Dropout(0.5)\n}\n",
    ),
    Explanation(
        "E0311",
        "a default looks ahead",
        "The default of a parameter may use the parameters before it, since "
        "those have their values by then.",
        "fn area(width: int = height, height: int = 2) {\n  return width * height\n}\n",
        "fn area(height: int = 2, width: int = height) {\n  return width * height\n}\n",
    ),
)
