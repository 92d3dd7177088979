"""Codes E02xx and W02xx: what names mean."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0201",
        "nothing has this name",
        "A lower-case name is a value bound before, a parameter, a `fn`, or an "
        "operator. The hint names the nearest one.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  h = x -> Linear(8)\n"
        "  output y = relu(hh)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  h = x -> Linear(8)\n"
        "  output y = relu(h)\n"
        "}\n",
    ),
    Explanation(
        "E0202",
        "no layer or size has this name",
        "A name with a capital is a layer, a block, a model, or a size bound by "
        "the type of an input. Layers of other frameworks have other names "
        "here: the hint tells which.",
        "model M {\n  input x: [B, 64]\n  output y = x -> Dense(8)\n}\n",
        "model M {\n  input x: [B, 64]\n  output y = x -> Linear(8)\n}\n",
    ),
    Explanation(
        "E0203",
        "a dot leads nowhere",
        "A dot reaches an operator (`ops.mean`), an initializer (`init.normal`) "
        "or a weight of a layer (`wte.weight`), and nothing else.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(8, init=init.gaussian())\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(8, init=init.normal(std=0.02))\n"
        "}\n",
    ),
    Explanation(
        "E0204",
        "there is no such element type",
        "An element type stands before the bracket: `i64[B, T]`. Without one, a "
        "tensor holds floats.",
        "model M {\n  input x: int64[B, T]\n  output y = x\n}\n",
        "model M {\n  input x: i64[B, T]\n  output y = x\n}\n",
    ),
    Explanation(
        "E0205",
        "the type of an input",
        "The inputs of a model are tensors, and each axis has a size: a number, "
        "or a name for a size that is known at run time. A shape has at most "
        "one `*`.",
        "model M {\n  input x: [B, _]\n  output y = x\n}\n",
        "model M {\n  input x: [B, T]\n  output y = x\n}\n",
    ),
    Explanation(
        "E0206",
        "a name that cannot be declared",
        "A file declares each name once. What may own weights (blocks, models, "
        "variants) begins with a capital, what never does (`fn`, values, layers "
        "that are made) with a small letter. The functions of constants keep "
        "their names.",
        "range = 3\n",
        "count = 3\n",
    ),
    Explanation(
        "E0207",
        "two layers with one name",
        "The name of a layer is its place in the emitted class and in the file "
        "of weights, so no two can share it. Labels stand before a layer: `-> "
        "fc1: Linear(8)`.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  h = x -> fc: Linear(8)\n"
        "  output y = h -> fc: Linear(8)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  h = x -> fc1: Linear(8)\n"
        "  output y = h -> fc2: Linear(8)\n"
        "}\n",
    ),
    Explanation(
        "E0208",
        "two parameters with one name",
        "Parameters are given by name, so each needs its own.",
        "fn area(n: int, n: int) {\n  return n * n\n}\n",
        "fn area(n: int, m: int) {\n  return n * m\n}\n",
    ),
    Explanation(
        "E0210",
        "no model has this name",
        "A variant gives constants to a model of the same file.",
        "model Net(width: int) {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(width)\n"
        "}\n"
        "\n"
        "variant Small = Nett(8)\n",
        "model Net(width: int) {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(width)\n"
        "}\n"
        "\n"
        "variant Small = Net(8)\n",
    ),
    Explanation(
        "E0211",
        "this cannot be applied here",
        "Behind `->` and before parentheses stands an operator, a layer, a "
        "block, a model or a `fn`. A partial recipe (`F(k=1, ...)`) is handed "
        "to a block, not applied.",
        "model M {\n  input x: [B, 64]\n  n = 3\n  output y = x -> n\n}\n",
        "model M {\n  input x: [B, 64]\n  n = 3\n  output y = x -> Linear(n)\n}\n",
    ),
    Explanation(
        "E0212",
        "a weight is shared before its shape is known",
        "Most weights take their shape from what goes into their layer. Call "
        "the layer first, then share its weight.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  fc = Linear(64, bias=false)\n"
        "  output y = x -> Linear(64, weight=fc.weight)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  fc = Linear(64, bias=false)\n"
        "  h = fc(x)\n"
        "  output y = h -> Linear(64, weight=fc.weight)\n"
        "}\n",
    ),
    Explanation(
        "E0213",
        "a name is used where it is not bound",
        "Statements run from the top. A name that is first bound inside of a "
        "loop is unknown behind it; bound before the loop as well, it is "
        "carried from turn to turn.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  a = b + 1\n"
        "  b = relu(x)\n"
        "  output y = a + b\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  b = relu(x)\n"
        "  a = b + 1\n"
        "  output y = a + b\n"
        "}\n",
    ),
    Explanation(
        "E0214",
        "a weight of a layer that is never applied",
        "A layer is made where it is applied, and its weights with it. A tensor "
        "that is learned and belongs to no layer is a `Param`.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  book = Embedding(100, 64)\n"
        "  output y = matmul(x, transpose(book.weight))\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  book = Param([100, 64], init=init.normal(1.0))\n"
        "  output y = matmul(x, transpose(book))\n"
        "}\n",
    ),
    Explanation(
        "E0215",
        "there is no such kind of constants",
        "A constant is an `int`, `float`, `bool`, `str`, `dtype`, `block` or `fn`, or a list of them: "
        "`list[int]`. A tensor has its sizes in brackets.",
        "model M(width: integer = 8) {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(width)\n"
        "}\n",
        "model M(width: int = 8) {\n"
        "  input x: [B, 64]\n"
        "  output y = x -> Linear(width)\n"
        "}\n",
    ),
    Explanation(
        "W0201",
        "a value is never read",
        "The value is computed and then forgotten: mostly a misspelt name, or a "
        "line that is left over. `_` stands for what is not needed.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  h = x -> Linear(8)\n"
        "  output y = x -> Linear(8)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  h = x -> Linear(8)\n"
        "  output y = h -> Linear(8)\n"
        "}\n",
    ),
    Explanation(
        "W0202",
        "a parameter or input is never used",
        "Whoever calls the block gives a value that changes nothing.",
        "fn double(n: int, m: int) {\n  return 2 * n\n}\n",
        "fn double(n: int) {\n  return 2 * n\n}\n",
    ),
    Explanation(
        "W0203",
        "something from the library is never used",
        "The `use` can go.",
        "use std.attention (SelfAttention)\n"
        "\n"
        "model M {\n"
        "  input x: [B, 64]\n"
        "  output y = x\n"
        "}\n",
        "model M {\n  input x: [B, 64]\n  output y = x\n}\n",
    ),
    Explanation(
        "W0204",
        "a statement that is never reached",
        "Nothing behind a `return` happens.",
        "fn double(n: int) {\n  return 2 * n\n  m = n\n}\n",
        "fn double(n: int) {\n  m = n\n  return 2 * m\n}\n",
    ),
)
