"""Section D: resource exhaustion, and what of C, E and F is checked as quickly."""

from __future__ import annotations

from tests.hostile.cases import Group, model

NESTING = Group("nesting")
EXPANSION = Group("expansion")
NUMBERS = Group("numbers")
OPERATORS = Group("operators")
GRAPHS = Group("graphs")
NAMES = Group("names")

for depth in (10, 60, 100, 1_000, 100_000):
    for name, opening, closing in (
        ("parentheses", "(", ")"),
        ("lists", "[", "]"),
        ("calls", "f(", ")"),
        ("signs", "-", ""),
        ("negations", "not ", ""),
        ("powers", "2^", ""),
        ("indices", "a[", "]"),
        ("conditionals", "(1 if true else ", ")"),
    ):
        NESTING.add(
            f"{depth} {name}",
            lambda opening=opening, closing=closing, depth=depth: (
                f"a = {opening * depth}1{closing * depth}\n"
            ),
            code=1 if depth > 64 and name != "powers" else None,
        )
    NESTING.add(
        f"{depth} ifs",
        lambda depth=depth: model(
            "if true {" * depth + "x = x" + "}" * depth, "output y = x"
        ),
    )
    NESTING.add(
        f"{depth} loops",
        lambda depth=depth: model(
            "for _ in [1] {" * depth + "x = x" + "}" * depth, "output y = x"
        ),
    )
    NESTING.add(
        f"{depth} else ifs",
        lambda depth=depth: model(
            "if false { x = x }" + " else if false { x = x }" * depth, "output y = x"
        ),
    )
    NESTING.add(
        f"{depth} list types",
        lambda depth=depth: (
            f"fn f(a: {'list[' * depth}int{']' * depth}) {{ return a }}\n"
        ),
    )
for count in (1_000, 100_000):
    NESTING.add(f"a sum of {count}", lambda count=count: f"a = {'1 + ' * count}1\n")
    NESTING.add(
        f"a chain of {count} ands",
        lambda count=count: f"a = {'true and ' * count}true\n",
    )
NESTING.add("a pipe of 1,000", lambda: model("output y = x" + " -> relu" * 1_000))
NESTING.add(
    "a pipe of 20,000", lambda: model("output y = x" + " -> relu" * 20_000), emit=False
)
NESTING.add(
    "a pipe of 100,000", lambda: model("output y = x" + " -> relu" * 100_000), code=1
)
NESTING.add("a sum of 1,000 tensors", lambda: model(f"output y = {'x + ' * 1_000}x"))
NESTING.add("attributes", lambda: f"a = x{'.y' * 100_000}\n", code=1)
NESTING.add("subscripts", lambda: f"a = x{'[0]' * 100_000}\n", code=1)
NESTING.add("applications", lambda: f"a = f{'()' * 100_000}\n", code=1)

_repeat = "for _ in range(%s) { x = relu(x) }"
for bound in ("10^12", "10^30", "2.5", '"3"', "true", "-10^12"):
    code = 0 if bound == "-10^12" else 1
    EXPANSION.add(f"repeat {bound}", model(_repeat % bound, "output y = x"), code=code)
for bound in ("0", "-1"):
    EXPANSION.add(f"repeat {bound}", model(_repeat % bound, "output y = x"), code=0)
EXPANSION.add(
    "three loops of 10^4",
    model(
        *("for _ in range(10^4) {" for _ in range(3)),
        "x = relu(x)",
        "} } }",
        "output y = x",
    ),
    code=1,
    shows="E0502",
)


def _laughs(levels: int, copies: int) -> str:
    lines = ["block B0(x: [B, D]) { return x -> Linear(D) }"]
    for level in range(1, levels + 1):
        body = f" -> B{level - 1}" * copies
        lines.append(f"block B{level}(x: [B, D]) {{ return x{body} }}")
    return "\n".join(lines) + "\n" + model(f"output y = x -> B{levels}")


EXPANSION.add("a billion laughs, 40 deep", _laughs(40, 2), code=0)
EXPANSION.add("a billion laughs, 10 wide", _laughs(10, 10), code=0)
EXPANSION.add("a billion laughs, 60 deep", _laughs(60, 2), code=1, shows="E0502")
EXPANSION.add(
    "laughing lists",
    "a0 = [1, 1]\n"
    + "".join(f"a{i} = [a{i - 1}, a{i - 1}]\n" for i in range(1, 41))
    + "fn f(a: list[int]) { return len(a) }\n"
    + model("output y = x -> Linear(len(a40) + f([1]))", "b = a40 == a39", "c = [a40]"),
)
EXPANSION.add(
    "doubled lists",
    "a0 = [1, 1]\n"
    + "".join(f"a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 41))
    + model("output y = x -> Linear(len(a40))"),
    code=1,
    shows="E0502",
)
EXPANSION.add(
    "spread lists",
    "a0 = [1, 1]\n"
    + "".join(f"a{i} = [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 41))
    + model("output y = x -> Linear(len(a40))"),
    code=1,
    shows="E0502",
)
EXPANSION.add(
    "laughing functions",
    "fn g0(n: int) { return n + 1 }\n"
    + "".join(
        f"fn g{i}(n: int) {{ return g{i - 1}(n) + g{i - 1}(n) }}\n"
        for i in range(1, 41)
    )
    + model("output y = x -> Linear(g40(1))"),
    code=1,
    shows="E0502",
)
EXPANSION.add(
    "laughing tensor functions",
    "fn g0(x: [B, D]) { return x + 1 }\n"
    + "".join(
        f"fn g{i}(x: [B, D]) {{ return g{i - 1}(x) + g{i - 1}(x) }}\n"
        for i in range(1, 31)
    )
    + model("output y = g30(x)"),
    code=1,
    shows="E0502",
)
EXPANSION.add(
    "laughing defaults",
    "block F0(x: [B, D], a: int = 1) { return x -> Linear(a) }\n"
    + "fn g(a: int, "
    + ", ".join(
        f"p{i}: int = {'a' if i == 0 else f'p{i - 1} + p{i - 1}'}" for i in range(40)
    )
    + ") { return p39 }\n"
    + model("output y = x -> Linear(g(1) // 2^30)"),
)
EXPANSION.add(
    "comprehensions of comprehensions",
    model(
        "a = [[j for j in range(10^4)] for i in range(10^4)]",
        "output y = x -> Linear(len(a))",
    ),
    code=1,
    shows="E0502",
)
EXPANSION.add(
    "10^5 list elements in a block's constants",
    "block F(x: [B, D], widths: list[int]) { return x -> Linear(widths[0]) }\n"
    + model("w = [1 for _ in range(99000)]", "output y = x -> F(w)"),
)
EXPANSION.add(
    "a loop over constants alone",
    model(
        "n = 0",
        "for i in range(100000) { n = n + i }",
        "output y = x -> Linear(n % 7 + 1)",
    ),
)
EXPANSION.add(
    "a list of 10^12 as a constant",
    "block F(x: [B, D], w: list[int]) { return x -> Linear(w[0]) }\n"
    + model("output y = x -> F(range(1, 10^12))"),
    code=1,
    shows="E0502",
)
EXPANSION.add(
    "doubled floats",
    "block F(x: [B, D], v: float) { "
    + "v = v + v " * 60
    + "return (x * v) -> Linear(8) }\n"
    + model("output y = x -> F(1.5)"),
    code=1,
    shows="E0329",
)
EXPANSION.add(
    "doubled conditions",
    "block F(x: [B, D], v: bool) { "
    + "v = (v and v) == (v or v) " * 60
    + "if v { x = relu(x) } return x -> Linear(8) }\n"
    + model("output y = x -> F(true)"),
    code=1,
    shows="E0329",
)
EXPANSION.add(
    "growing constants in a loop",
    model("n = 3", "for _ in range(1000) { n = n * n }", "output y = x -> Linear(n)"),
    code=1,
    shows="E0329",
)

for text, code in {
    "2^2^2^2^2^2": 1,
    "10^10^10": 1,
    "0^-1": 1,
    "2^-1": 1,
    "1e308 * 10": 1,
    "1 // 0": 1,
    "1 % 0": 1,
    "1 / 0": 1,
    "0.0 / 0.0": 1,
    "(10^1200) // (10^1199) // 10": 0,
    "9" * 5000: 1,
    "(10^1000) * (10^1000)": 1,
    "-1": 1,
    "0": 1,
    "true": 1,
    "3.0": 1,
    '"3"': 1,
    "none": 1,
    "[3]": 1,
    "1e400": 1,
    "inf": 1,
    "10^30": None,
    "2^31": None,
    "2^63": None,
    "3": 0,
}.items():
    NUMBERS.add(
        f"a width of {text[:40]}", model(f"output y = x -> Linear({text})"), code=code
    )
for text in ("0", "-1", "1.5", '"a"', "true", "10^30", "2^63", "B + 1"):
    NUMBERS.add(
        f"an input of size {text}",
        model("output y = relu(x)", inputs=f"x: [B, {text}]"),
    )
for size in ("2^31", "2^63", "10^30", "10^300"):
    NUMBERS.add(
        f"a product of sizes of {size}",
        model(
            "output y = x -> flatten -> relu", inputs=f"x: [B, {size}, {size}, {size}]"
        ),
    )
NUMBERS.add(
    "a product beyond all bounds",
    model(
        "output y = x -> flatten -> relu", inputs=f"x: [B, {', '.join(['10^300'] * 6)}]"
    ),
    code=1,
)
NUMBERS.add(
    "parameters beyond 2^64",
    model("output y = x -> Linear(2^40) -> Linear(2^40)"),
    code=0,
)
NUMBERS.add("floats as sizes", model("output y = x * 1e308 * 1e308"))
for value in ("inf", "-inf", "-0.0", "1e-400", "1e308"):
    NUMBERS.add(f"a float of {value}", model(f"output y = x * ({value})"))
NUMBERS.add(
    "a polynomial",
    model("n = (B + H + W + C)^16", "output y = zeros([n])", inputs="x: [B, C, H, W]"),
    code=1,
)
NUMBERS.add(
    "a polynomial by steps",
    model(
        "n = B + H + W + C",
        *("n = n * n" for _ in range(8)),
        "output y = zeros([n])",
        inputs="x: [B, C, H, W]",
    ),
    code=1,
)
NUMBERS.add(
    "a tower of divisions",
    model(
        "n = H",
        *(f"n = (n + {i}) // 2" for i in range(300)),
        "output y = zeros([n + 1])",
        inputs="x: [B, H]",
    ),
)
NUMBERS.add(
    "a tower of minima",
    model(
        "n = H",
        *(f"n = min(n * 2 + W, {i} + W * n)" for i in range(40)),
        "output y = zeros([n])",
        inputs="x: [W, H]",
    ),
)
NUMBERS.add(
    "a tower of powers",
    model(
        "n = H",
        *("n = n^H" for _ in range(40)),
        "output y = zeros([n])",
        inputs="x: [W, H]",
    ),
)
NUMBERS.add(
    "a tower of pools",
    model(
        *("x = x -> Conv(1, 3, stride=2, padding=1)" for _ in range(64)),
        "output y = x",
        inputs="x: [B, 1, H, W]",
    ),
)
NUMBERS.add(
    "1,000 sizes",
    model(
        "output y = x",
        inputs=[f"x{'' if i == 0 else i}: [A{i}, B{i}]" for i in range(1_000)],
    ),
)
NUMBERS.add(
    "contradictory requirements",
    model("require T > 5", "require T < 3", "output y = x", inputs="x: [B, T]"),
    code=1,
)
NUMBERS.add(
    "contradictory multiples",
    model("require T % 7 == 0", "require T < 3", "output y = x", inputs="x: [B, T]"),
    code=1,
)
NUMBERS.add(
    "1,000 multiples",
    model(
        *(f"require T % {n} == 0" for n in range(2, 1_000)),
        "output y = x",
        inputs="x: [B, T]",
    ),
)
NUMBERS.add("a size that is itself", model("B = B + 1", "output y = x"))
NUMBERS.add("a claim of itself", model("h: [N, N + 1] = x", "output y = h"), code=1)

_CONV = (
    "kernel=64",
    "stride=0",
    "dilation=0",
    "padding=-1",
    "groups=0",
    "groups=7",
    "stride=-1",
    "kernel=0",
    "kernel=-3",
    "padding=10^20",
    "stride=10^20",
    "dilation=10^20",
    "kernel=[3, 3, 3]",
    "padding=[1, 2, 3]",
    'padding="sane"',
    "kernel=[]",
    "kernel=none",
    "bias=3",
    "groups=B",
)
for argument in _CONV:
    kernel = "" if argument.startswith("kernel") else "kernel=3, "
    for layer in ("Conv", "ConvTranspose"):
        OPERATORS.add(
            f"{layer}({argument})",
            model(
                f"output y = x -> {layer}(features=6, {kernel}{argument})",
                inputs="x: [B, 3, 8, 8]",
            ),
        )
OPERATORS.add(
    "output_padding",
    model(
        "output y = x -> ConvTranspose(6, 3, stride=2, output_padding=2)",
        inputs="x: [B, 3, 8, 8]",
    ),
    code=1,
)
for text in (
    "max_pool(9)", "max_pool(0)", "max_pool(2, stride=0)", "max_pool(-1)", "avg_pool(3, padding=5)",
    "adaptive_avg_pool(0)", "adaptive_avg_pool(10^9)", "reshape([-1, -1])", "reshape([])",
    "reshape([0])", "reshape([B, -7])", "reshape([10^30, -1])", "transpose([0, 0, 0, 0])", "transpose([9])",
    "transpose([-10^30])", "mean(dim=4)", "mean(dim=-5)", "mean(dim=10^30)", "mean(dim=[])", "sum(dim=[1, 1])",
    "softmax(dim=2^63)", "split(0, dim=1)", "split(-1, dim=1)", "split(10^9, dim=1)", "split([], dim=1)",
    "flatten(start=7)", "squeeze(dim=1)", "unsqueeze(dim=99)", "unsqueeze(dim=[0] )", "repeat([10^9, 1, 1, 1])",
    "pad([[-1, -1]])", "pad([10^30, 10^30])", "roll(10^30, dim=1)", "one_hot(-1)", "one_hot(10^30)",
    "cumsum(dim=9)", "topk(9, dim=1)", "topk(0)", "resize(0)", "resize(10^30)", "pixel_shuffle(5)", "pixel_shuffle(0)",
    'rearrange("")', 'rearrange("->")', 'rearrange("b c h w -> b b")', 'rearrange("((((")', 'rearrange("b c h w -> (b c h w")',
    'rearrange("... ... -> ...")', 'rearrange("b c (h p) w -> b c h p w", p=0)', 'rearrange("b c (h p) w -> b c h p w", p=-8)',
    'einsum("")', 'einsum("bchw")', 'einsum("i i i i -> i")', 'rearrange("é -> é")', "cast(3)", 'cast("f32")',
    "Linear(8, 8, 8, 8, 8)", "Linear(8, features=8)", "Dropout(nan)", "Dropout(2)", "Dropout(-1.0)", "LayerNorm(eps=-1.0)",
    "LayerNorm(dim=[])", "GroupNorm(0)", "GroupNorm(-1)", "gelu(1)", 'gelu(approximate="; import os")', "LSTM(0)", "GRU(10^30)",
    "attention(x, x)", "clip(2, 1)", "where(1, 2)", "broadcast([1])", "tensor([])", "full([0], 1)", "arange(0)", "topk(k=1, dim=-9)",
    "matmul(3)", "concat(dim=9)", "stack(dim=9)", "gather(x, x)", "take(x)", "norm(p=0)", "power(1000)",
):  # fmt: skip
    OPERATORS.add(text, model(f"output y = x -> {text}", inputs="x: [B, 3, 8, 8]"))
for text in (
    "x[0, 0, 0, 0, 0]", "x[10^30]", "x[-10^30]", "x[::0]", "x[::-1]", "x[..., ...]", "x[1:0]", "x[:, 3]", "x[:, -4]",
    "x[x]", "x[0.5]", 'x["a"]', "x[none]", "x[:, :, 0:8:10^30]", "x[B]", "x[:, B]", "x + [1, 2]", 'x + "a"', "x + none",
    "x == none", "x + inf", "x / 0", "x // 0", "x % 0", "x ^ 1000", "not x", "-x", "x and x", "x in [1]", "relu(relu)", "relu(M)",
    "Linear", "Linear(8)", "(x, x)", "[x, x]", "[]", "none", "ops", "init", "std", "inf", "ops.Linear", "M", "ops.ops", "range(3)",
    "arange(10^30)", "zeros([10^30])", "zeros([0])", "zeros([])", "zeros([-1])", "eye(0)", "tensor([[1], [1, 2]])",
    "full([2], 1e400)", "Param([0])", "Param([B])", "Param([10^30])", "RandomNormal([B])", "sum([x, x])", "min(x, 3)", "max(3, x)",
    "min()", "sum(3)", "len(x)", "shape(x)", "shape(x)[9]", "rank(x)", "dtype(x)", "float(x)", "int(x)", "ceil(x)", "abs(-10^30)",
    "isqrt(-1)", "log(0)", "exp(10^4)", "sqrt(-1)", "zip(x)", "enumerate(x)", "reversed(x)", "any(x)", "all([1])", "init.normal",
    "init.normal()", "init.zeros", "init.constant(inf)",
):  # fmt: skip
    OPERATORS.add(f"y = {text}", model(f"output y = {text}", inputs="x: [B, 3, 8, 8]"))
for left, right in (
    ("[2]", "[3]"),
    ("[B]", "[T]"),
    ("[]", "[3]"),
    ("i64[3]", "[3]"),
    ("bool[3]", "bool[3]"),
):
    OPERATORS.add(
        f"{left} + {right}",
        model("output y = a + b", inputs=[f"a: {left}", f"b: {right}"]),
    )
OPERATORS.add(
    "no axes at all", model("output y = x -> Linear(3)", inputs="x: []"), code=1
)
OPERATORS.add(
    "300 axes", model("output y = relu(x)", inputs=f"x: [{', '.join(['1'] * 300)}]")
)

GRAPHS.add(
    "a chain of 7,900 operations",
    lambda: model("for _ in range(7900) { x = relu(x) }", "output y = x"),
    code=0,
)
GRAPHS.add(
    "a chain of 10^5 statements",
    lambda: model(*("x = relu(x)" for _ in range(70_000)), "output y = x"),
    code=1,
)
GRAPHS.add(
    "a fan of 10^4",
    lambda: model("output y = concat([x for _ in range(10^4)], dim=1)"),
    code=0,
)
GRAPHS.add(
    "200 skips",
    lambda: model(
        "xs = [x]",
        "for _ in range(200) {",
        "  y = concat(xs, dim=1) -> layers: Linear(4)",
        "  xs = xs + [y]",
        "}",
        "output z = concat(xs, dim=1)",
    ),
    code=0,
)
GRAPHS.add(
    "10^4 parameters",
    lambda: (
        "block F(x: [B, D], "
        + ", ".join(f"p{i}: int = 1" for i in range(10_000))
        + ") { return x -> Linear(p0) }\n"
        + model("output y = x -> F")
    ),
)
GRAPHS.add(
    "10^4 blocks",
    lambda: (
        "".join(
            f"block F{i}(x: [B, D]) {{ return x -> Linear({i + 1}) }}\n"
            for i in range(10_000)
        )
        + model("output y = x" + "".join(f" -> F{i}" for i in range(100)))
    ),
)
GRAPHS.add(
    "6,000 specialisations",
    lambda: (
        "block F(x: [B, D], n: int) { return x -> Linear(n) }\n"
        + model("for i in range(6000) { x = x -> F(i + 1) }", "output y = x")
    ),
    code=1,
    shows="E0502",
)
GRAPHS.add(
    "10^4 aliases",
    lambda: model(
        "a0 = x", *(f"a{i + 1} = a{i}" for i in range(10_000)), "output y = a10000"
    ),
)
GRAPHS.add("10^4 outputs", lambda: model(*(f"output y{i} = x" for i in range(2_000))))
GRAPHS.add(
    "a long misspelt name",
    lambda: "".join(f"name{i} = {i}\n" for i in range(5_000)) + f"a = {'nme' * 80}\n",
    code=1,
)

NAMES.add(
    "a block of itself",
    "block F(x: [B, D]) { return x -> F }\n" + model("output y = x -> F"),
    code=1,
    shows="E0501",
)
NAMES.add(
    "a block of itself in a branch",
    "block F(x: [B, D], n: int) { if n > 0 { x = x -> F(n - 1) } return x }\n"
    + model("output y = x -> F(3)"),
    code=1,
    shows="E0501",
)
NAMES.add(
    "a block of itself in a branch that is never taken",
    "block F(x: [B, D]) { if false { x = x -> F } return x }\n"
    + model("output y = x -> F"),
)
NAMES.add(
    "a ring of blocks",
    "".join(
        f"block F{i}(x: [B, D]) {{ return x -> F{(i + 1) % 9} }}\n" for i in range(9)
    )
    + model("output y = x -> F0"),
    code=1,
    shows="E0501",
)
NAMES.add(
    "a ring through a parameter",
    "block F(x: [B, D], G: block) { return x -> G(F) }\n"
    "block H(x: [B, D], G: block) { return x -> G(H) }\n"
    + model("output y = x -> F(H)"),
    code=1,
)
NAMES.add(
    "a ring of defaults",
    "block F(x: [B, D], n: int = f()) { return x -> Linear(n) }\nfn f(n: int = f()) { return n }\n"
    + model("output y = x -> F"),
    code=1,
)
NAMES.add(
    "a ring of constants",
    "a = b\nb = c\nc = a\n" + model("output y = x -> Linear(a)"),
    code=1,
    shows="E0501",
)
NAMES.add(
    "a constant of itself", "a = a\n" + model("output y = x -> Linear(a)"), code=1
)
NAMES.add(
    "a ring of models",
    model("output y = x -> N") + model("output y = x -> M", name="N"),
    code=1,
)
NAMES.add("a variant of itself", "variant M = M()\n", code=1)
NAMES.add("a ring of variants", "variant M = N()\nvariant N = M()\n", code=1)
NAMES.add(
    "a block named like a layer",
    "block Linear(x: [B, D]) { return relu(x) }\n" + model("output y = x -> Linear"),
)
NAMES.add(
    "a block that uses the layer it hides",
    "block Linear(x: [B, D]) { return x -> ops.Linear(D) }\n"
    + model("output y = x -> Linear"),
)
NAMES.add(
    "a value named like an operator",
    model("relu = x + 1", "output y = relu -> ops.relu"),
)
NAMES.add("names that differ in case", model("a = relu(x)", "output A = a"))
NAMES.add("two declarations", "a = 1\na = 2\n", code=1, shows="E0206")
NAMES.add(
    "use before definition",
    model("a = b", "b = x", "output y = a"),
    code=1,
    shows="E0213",
)
NAMES.add("a library of itself", "use std.std (X)\n", code=1, shows="E0701")
for path in (
    "../../etc/passwd",
    "/etc/passwd",
    "~/x",
    "$HOME/x",
    "file:///etc/passwd",
    "http://x/y",
    "\\\\\\\\s\\\\x",
    "C:\\\\x",
    "CON",
):
    NAMES.add(f"use {path}", f'use "{path}" (X)\n', code=1)
for path in (
    "std",
    "std.",
    "std..",
    "std...attention",
    "std.../x",
    "os.system",
    "std.attention.x",
    "std.__init__",
):
    NAMES.add(f"use {path}", f"use {path} (X)\n", code=1)
for arguments in (
    "8, 8, 8, 8",
    "features=8, features=9",
    "8, features=8",
    "features=8, 8",
    "fetures=8",
    "",
):
    NAMES.add(
        f"Linear({arguments})", model(f"output y = x -> Linear({arguments})"), code=1
    )
NAMES.add(
    "rich markup",
    model('require x == 1, "[/foo] [bold] [link=http://x] :smile:"', "output y = x"),
    code=1,
)
NAMES.add(
    "the same fault 10^4 times",
    lambda: model("for _ in range(10^4) { a = x -> Dense(3) }", "output y = x"),
    code=1,
)

GROUPS = [NESTING, EXPANSION, NUMBERS, OPERATORS, GRAPHS, NAMES]

NAMES.add(
    "20,000 statements, each with an unknown name",
    lambda: model(*(f"y{i} = zz{i}" for i in range(20_000)), "output y = x"),
    code=1,
)
NUMBERS.add(
    "a float computed in 5,000 steps from a constant",
    lambda: (
        "model M(p: float = 1.5) { input x: [B] a = p\n"
        + "a = abs(a + 0.5)\n" * 5_000
        + "output y = x * a }\n"
    ),
    code=1,
)
