"""Codes E01xx: how the words and signs of a spec are put together."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation


def _body(*lines: str) -> str:
    """A model with these statements."""
    return "model M {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _in_body(
    code: str, title: str, explanation: str, wrong: str, right: str
) -> Explanation:
    return Explanation(code, title, explanation, _body(wrong), _body(right))


EXPLANATIONS: tuple[Explanation, ...] = (
    _in_body(
        "E0101",
        "something cannot stand here",
        "The word or sign does not fit what comes before it. The hint lists what would.",
        "require a, 3",
        'require a, "the reason"',
    ),
    Explanation(
        "E0102",
        "a `{` is never closed",
        "Each body ends with `}`. The place is the brace that was left open: the one that the indentation"
        " of the lines after it suggests. Indentation means nothing else.",
        "model M {\n  for i in range(3) {\n    x = i\n  output x\n}\n",
        "model M {\n  for i in range(3) {\n    x = i\n  }\n  output x\n}\n",
    ),
    _in_body(
        "E0103",
        "a `(` or `[` is never closed",
        "Each bracket is closed by its partner. The place is the bracket that was left open.",
        "y = f(1, 2\n  z = 3",
        "y = f(1, 2)\n  z = 3",
    ),
    Explanation(
        "E0104",
        "a closing bracket closes nothing",
        "There is no open bracket of this kind here. Delete it, or add the one that it should close.",
        "x = 3)\n",
        "x = 3\n",
    ),
    _in_body(
        "E0105",
        "the `{` of a body is missing",
        "Bodies of models, blocks, fns, `for`, `if` and `else` stand in braces.",
        "for i in range(3)\n    x = i",
        "for i in range(3) {\n    x = i\n  }",
    ),
    _in_body(
        "E0106",
        "a colon where a body begins",
        "Bodies stand in braces; indentation and line ends mean nothing.",
        "for i in range(3):\n    x = i",
        "for i in range(3) {\n    x = i\n  }",
    ),
    _in_body(
        "E0107",
        "a reserved word as a name",
        "These words cannot be names: and, as, block, else, false, fn, for, if, in, input, list, model, none,"
        " not, or, output, require, return, scan, true, use, variant, yield.",
        "input = 3",
        "image = 3",
    ),
    _in_body(
        "E0108",
        "`=` where `:` belongs",
        "A type and a label's layer stand after `:`. `=` gives a value.",
        "y = x -> conv = Conv(3)",
        "y = x -> conv: Conv(3)",
    ),
    _in_body(
        "E0109",
        "`:` where `=` belongs",
        "A value is given with `=`, to a name and to an argument. `:` stands before types and after labels.",
        "y = Conv(3, bias: false)",
        "y = Conv(3, bias=false)",
    ),
    _in_body(
        "E0110",
        "a comma is missing",
        "Arguments, items, parameters and names in `for` are separated by commas.",
        "y = f(a b)",
        "y = f(a, b)",
    ),
    _in_body(
        "E0111",
        "`=` or a value is missing",
        "A statement binds a name to a value: `name = value`, or `name: type = value`.",
        "y Conv(3)",
        "y = Conv(3)",
    ),
    _in_body(
        "E0112",
        "a `;`",
        "Statements need nothing at their end.",
        "y = 3;",
        "y = 3",
    ),
    _in_body(
        "E0113",
        "`**` for `^`",
        "The power is written `^`. It binds tighter than a sign: `-x^2` is `-(x^2)`.",
        "y = x ** 2",
        "y = x^2",
    ),
    _in_body(
        "E0114",
        "an operator of another language",
        "The logical operators are `and`, `or` and `not`; `==` and `!=` compare, also with `none`.",
        "y = a && !b",
        "y = a and not b",
    ),
    _in_body(
        "E0115",
        "a comment of another language",
        "A comment begins with `#` and ends with its line. `//` divides and rounds down.",
        "// the stem\n  y = 3",
        "# the stem\n  y = 3",
    ),
    _in_body(
        "E0116",
        "a string in single quotes",
        "Strings stand in double quotes.",
        "y = gelu(x, approximate='tanh')",
        'y = gelu(x, approximate="tanh")',
    ),
    _in_body(
        "E0117",
        "`True`, `False` or `None`",
        "The constants are `true`, `false` and `none`.",
        "y = Conv(3, bias=False)",
        "y = Conv(3, bias=false)",
    ),
    _in_body(
        "E0118",
        "`self`",
        "Layers that are bound to names belong to their model or block; they are used by their names.",
        "self.head = Linear(10)",
        "head = Linear(10)",
    ),
    Explanation(
        "E0119",
        "a declaration of another language",
        "A `model` is a whole network, a `block` a part that may own weights, an `fn` has none.",
        "def f(x):\n  return x\n",
        "fn f(x: [B]) -> [B] {\n  return x\n}\n",
    ),
    Explanation(
        "E0120",
        "`import`",
        "Operators and layers are there without asking. Blocks of the standard library come with"
        " `use std.attention (SelfAttention)`.",
        "import torch\n",
        "use std.attention (SelfAttention)\n",
    ),
    _in_body(
        "E0121",
        "`+=` and its like",
        "Nothing is changed in place. Bind the name again.",
        "y += 3",
        "y = y + 3",
    ),
    _in_body(
        "E0122",
        "another sign for `->`",
        "Values flow along `->`.",
        "y = x => relu",
        "y = x -> relu",
    ),
    _in_body(
        "E0123",
        "`elif`",
        "A second condition is written `else if`.",
        "if a { y = 1 } elif b { y = 2 }",
        "if a { y = 1 } else if b { y = 2 }",
    ),
    _in_body(
        "E0124",
        "`while`",
        "Loops run over a range or list that is known when compiling, so that the network has a fixed form.",
        "while i < 3 { y = f(y) }",
        "for i in range(3) { y = f(y) }",
    ),
    Explanation(
        "E0125",
        "`lambda`",
        "Functions have names: declare an `fn`.",
        "f = lambda x: x + 1\n",
        "fn f(x: [B]) -> [B] { return x + 1 }\n",
    ),
    _in_body(
        "E0126",
        "`[...]` where `(...)` belongs",
        "Arguments and parameters stand in parentheses, lists, shapes and subscripts in square brackets.",
        "y = Linear[10, bias=false]",
        "y = Linear(10, bias=false)",
    ),
    _in_body(
        "E0127",
        "a chain of comparisons",
        "A comparison has two sides. Join two of them with `and`.",
        "require 0 < a < 3",
        "require 0 < a and a < 3",
    ),
    _in_body(
        "E0128",
        "a pipe next to an operator",
        "A pipe starts at a name, a call, an index or a parenthesis, and is no operand without parentheses.",
        "y = a + b -> relu",
        "y = (a + b) -> relu",
    ),
    _in_body(
        "E0129",
        "a conditional expression without brackets",
        "A conditional expression stands in parentheses, in an argument or in a list. Elsewhere `if` begins"
        " a statement.",
        "y = 1 if a else 2",
        "y = (1 if a else 2)",
    ),
    _in_body(
        "E0130",
        "`scan` cannot be compiled yet",
        "`scan` and `yield` are kept for loops at run time. Use a `for` over a range that is known when"
        " compiling, or a recurrent layer.",
        "y = scan a in x { yield a }",
        "y = x -> LSTM(8)",
    ),
    _in_body(
        "E0131",
        "`...` is out of place",
        "`...` as the last argument of a call makes a partial recipe. It means nothing elsewhere.",
        "y = Conv(..., 3)",
        "y = Conv(3, ...)",
    ),
    _in_body(
        "E0132",
        "an argument without a name after one with a name",
        "Arguments without names come first.",
        "y = Conv(bias=false, 3)",
        "y = Conv(3, bias=false)",
    ),
    _in_body(
        "E0133",
        "an argument is given twice",
        "Each argument is given once.",
        "y = Conv(3, bias=false, bias=true)",
        "y = Conv(3, bias=false)",
    ),
    Explanation(
        "E0134",
        "a statement outside of every body",
        "At the top level of a file stand `use`, `block`, `fn`, `model`, `variant` and constants.",
        "input x: [B, 3]\n",
        "model M { input x: [B, 3] }\n",
    ),
    Explanation(
        "E0135",
        "a declaration inside another",
        "Blocks, fns, models and variants stand at the top level of a file.",
        "model M {\n  block F(x: [B]) { return x }\n}\n",
        "block F(x: [B]) { return x }\nmodel M {\n}\n",
    ),
    _in_body(
        "E0136",
        "a value is not used",
        "A statement binds a name. A call or pipe alone would have no effect.",
        "relu(x)",
        "y = relu(x)",
    ),
    _in_body(
        "E0137",
        "a doc string out of place",
        "A doc string is the first thing in a file or a body. Elsewhere write a comment.",
        'y = 3\n  """The stem."""',
        "y = 3\n  # The stem.",
    ),
    _in_body(
        "E0138",
        "a value is missing",
        "A value belongs after `=`, `,`, an operator or an opening bracket.",
        "y = 3 +",
        "y = 3 + 4",
    ),
    _in_body(
        "E0139",
        "`=` in a condition",
        "`=` binds a name; `==` compares.",
        "if a = 3 { y = 1 }",
        "if a == 3 { y = 1 }",
    ),
    _in_body(
        "E0140",
        "this cannot follow `->`",
        "A stage of a pipe is a layer, an operator, an fn or an instance.",
        "y = x -> 3",
        "y = x -> Linear(3)",
    ),
    _in_body(
        "E0141",
        "several names in one `output`",
        "Each output has its own statement.",
        "output a, b = f(x)",
        "a, b = f(x)\n  output a\n  output b",
    ),
    Explanation(
        "E0142",
        "`return` without a value",
        "Blocks and fns return one or more values.",
        "fn f(x: int) {\n  return\n}\n",
        "fn f(x: int) {\n  return x\n}\n",
    ),
    Explanation(
        "E0143",
        "a type is missing",
        "Inputs and parameters have types: a shape `[B, C]` for a tensor, else int, float, bool, str, dtype,"
        " block, fn or a list of them.",
        "block F(x) { return x }\n",
        "block F(x: [B, C]) { return x }\n",
    ),
    _in_body(
        "E0144",
        "`let`, `var` or `const`",
        "A name is bound by `name = value`.",
        "let y = 3",
        "y = 3",
    ),
    _in_body(
        "E0145",
        "a statement of another language",
        "The statements are `input`, `output`, `require`, `for`, `if`, `return` and `name = value`.",
        "assert a == 3",
        "require a == 3",
    ),
    _in_body(
        "E0147",
        "a dictionary or set",
        "There are lists and groups. Pass things that have names as arguments.",
        "y = {a: 1}",
        "y = [1]",
    ),
    _in_body(
        "E0148",
        "something is changed in place",
        "Values never change. Bind a new one.",
        "y[0] = 3",
        "y = concat([a, b], dim=0)",
    ),
    _in_body(
        "E0149",
        "`==` where `=` belongs",
        "`==` compares; `=` binds a name.",
        "y == 3",
        "y = 3",
    ),
    _in_body(
        "E0150",
        "an `else` without an `if`",
        "`else` follows the `}` of an `if`.",
        "else { y = 2 }",
        "if a { y = 1 } else { y = 2 }",
    ),
    _in_body(
        "E0151",
        "a shape in parentheses",
        "Shapes stand in square brackets.",
        "input x: (B, 3)",
        "input x: [B, 3]",
    ),
    _in_body(
        "E0152",
        "this is no type",
        "A type is a shape, with or without a dtype before it, or int, float, bool, str, dtype, block, fn,"
        " list[...].",
        "input x: 3",
        "input x: [B, 3]",
    ),
    _in_body(
        "E0154",
        "a string with a prefix",
        "Strings are plain; nothing is put into them.",
        'y = f"abc"',
        'y = "abc"',
    ),
    _in_body(
        "E0156",
        "`@` as an operator",
        "The product of matrices is `matmul(a, b)`; `@` begins an annotation.",
        "y = a @ b\n  z = 3",
        "y = matmul(a, b)\n  z = 3",
    ),
)
