"""Section B: text and names that try to become code."""

from __future__ import annotations

from tests.hostile.cases import Group, model

STRINGS = Group("strings")
IDENTIFIERS = Group("identifiers")

CANARY = "INJECTED"
_CODE = f"{CANARY} = 1"
PAYLOADS = {
    "quotes": f'\\" \' \\" + {CANARY} + \\"',
    "triple quotes": f'\\"\\"\\"\\n{_CODE}\\n\\"\\"\\"',
    "single triple quotes": f"'''\\n{_CODE}\\n'''",
    "a backslash at the end": "x\\\\",
    "backslashes": f'\\\\\\\\\\" + {CANARY} + \\"',
    "a new line": f"x\\n{_CODE}\\n",
    "python's escapes": f"\\\\N{{LATIN SMALL LETTER A}} \\\\x22 \\\\u0022 \\\\42 {CANARY}",
    "a coding cookie": f"coding:utf_7 +AAo-{_CODE}",
    "braces": f"{{x}} {{{{x}}}} %s %(x)s $x {{0.__class__}} {{{CANARY}}}",
    "templates": f"{{{{ {CANARY} }}}} {{% {CANARY} %}} {{# {CANARY} #}}",
    "html": f"</script><img src=x onerror={CANARY}> ]]> --> */",
    "brackets": f"relu); import os; {CANARY}(",
    "comment": f"# {CANARY}\\n#!{CANARY}",
    "markdown": f"```\\n{_CODE}\\n``` `{CANARY}`",
    "wide": "\u65e5\u672c\U0001f600e\u0301",
}


def _raw(payload: str) -> str:
    """As it stands in a doc string, which knows fewer escapes."""
    return payload.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


for name, payload in PAYLOADS.items():
    docs = _raw(payload).replace('"""', "'''").rstrip('"\\')
    STRINGS.add(
        f"require: {name}",
        model(
            f'require 8 % 2 == 0, "{payload}"',
            f'require B <= 64, "{payload}"',
            "output y = x -> Linear(8)",
        ),
    )
    STRINGS.add(
        f"constants: {name}",
        f'block F(x: [B, D], mode: str = "{payload}") {{ if mode == "a" {{ x = relu(x) }} return x -> Linear(8) }}\n'
        + model('output y = x -> F -> second: F("a")'),
    )
    STRINGS.add(
        f"device: {name}",
        model(f'@device("{payload}")', "h = x -> Linear(8)", "output y = h"),
    )
    STRINGS.add(
        f"doc: {name}",
        f'"""{docs}"""\n'
        f'block F(x: [B, D]) {{ """{docs}"""  return x -> Linear(8) }}\n'
        f'model M {{ """{docs}"""  input x: [B, 64]  output y = x -> F }}\n',
    )
    STRINGS.add(
        f"comment: {name}",
        "# "
        + _raw(payload).replace("\n", " ")
        + "\n"
        + model("output y = x -> Linear(8)"),
    )
    STRINGS.add(
        f"an enumeration: {name}",
        model(f'output y = x -> gelu(approximate="{payload}")'),
        code=1,
    )
    STRINGS.add(
        f"a pattern: {name}", model(f'output y = x -> rearrange("{payload}")'), code=1
    )
    STRINGS.add(
        f"an initializer: {name}",
        model(f'output y = x -> Linear(8, init="{payload}")'),
        code=1,
    )
STRINGS.add(
    "a carriage return in a doc string", f'"""a\r{_CODE}\r"""\n' + model("output y = x")
)
STRINGS.add("a carriage return in a comment", f"# a\r{_CODE}\r" + model("output y = x"))
STRINGS.add(
    "a carriage return in a string",
    f'a = "b\r{_CODE}"\n' + model("output y = x"),
    code=1,
)
for file in (
    'a"""b.nns',
    "a\nimport os.nns",
    "coding:utf_7 +AAo-x.nns",
    "a\rb.nns",
    "torch.nns",
    "\x1b[2J.nns",
    "`x`{y}%s.nns",
):
    STRINGS.add(f"a file named {file!r}", model("output y = x -> Linear(8)"), file=file)
for callee in (
    "os.system",
    "torch.hub.load",
    "keras.layers.Lambda",
    "ops.system",
    "ops.__class__",
    "init.__class__",
    "__import__",
    "eval",
    "exec",
    "TFSMLayer",
    "Lambda",
    "ops.ops.relu",
    "x.__class__",
    "std.os",
):
    STRINGS.add(f"a callee {callee}", model(f"output y = x -> {callee}(8)"), code=1)

PYTHON = [
    "class",
    "def",
    "lambda",
    "None",
    "True",
    "False",
    "import",
    "is",
    "del",
    "pass",
    "try",
    "while",
    "with",
    "global",
    "nonlocal",
    "async",
    "await",
    "match",
    "case",
    "type",
    "self",
    "cls",
]
BUILTINS = [
    "print",
    "len",
    "list",
    "super",
    "object",
    "eval",
    "exec",
    "open",
    "id",
    "map",
    "set",
    "dict",
    "tuple",
    "str",
    "int",
    "float",
    "bool",
    "range",
    "sum",
    "min",
    "max",
    "abs",
    "all",
    "any",
    "zip",
    "iter",
    "next",
    "vars",
    "dir",
    "getattr",
    "setattr",
]
OURS = [
    "x",
    "torch",
    "nn",
    "F",
    "keras",
    "layers",
    "ops",
    "initializers",
    "forward",
    "call",
    "build",
    "args",
    "kwargs",
    "options",
    "device",
    "dtype",
    "math",
    "Tensor",
    "annotations",
    "Sequence",
    "math_",
    "model",
    "training",
    "axis",
]
MODULE = [
    "train",
    "eval",
    "training",
    "parameters",
    "type",
    "to",
    "half",
    "_modules",
    "_parameters",
    "name",
    "weights",
    "call",
    "compile",
    "forward",
    "buffers",
    "state_dict",
    "cuda",
    "cpu",
    "double",
    "modules",
    "children",
    "apply",
    "dump_patches",
    "input",
    "output",
    "inputs",
    "outputs",
    "losses",
    "metrics",
    "variables",
    "trainable",
    "summary",
    "add_weight",
    "dtype_policy",
    "path",
    "built",
    "fit",
    "predict",
    "save",
    "get_config",
    "from_config",
    "register_buffer",
    "bias",
    "weight",
    "register_module",
    "T_destination",
    "share_memory",
    "zero_grad",
]
ODD = [
    "__class__",
    "__init__",
    "__reduce__",
    "__debug__",
    "__builtins__",
    "__file__",
    "__dict__",
    "__call__",
    "__x",
    "__",
    "_x",
    "x_",
    "_x_",
    "_1",
]
EVERY = sorted({*PYTHON, *BUILTINS, *OURS, *MODULE, *ODD})
CAMEL = [
    "Tensor",
    "Ops",
    "Layers",
    "Math",
    "Self",
    "Print",
    "F",
    "Module",
    "Exception",
    "True",
    "None",
    "Layer",
    "Model",
    "Dense",
    "Sequence",
    "ValueError",
    "Any",
    "Mapping",
    "Block",
    "Linear",
    "Conv",
    "Sequential",
    "Parameter",
    "NN",
    "Torch",
    "Keras",
    "Functional",
    "Input",
    "InputLayer",
    "Variable",
]


def _everywhere(name: str) -> dict[str, str]:
    """The name in each role that a lower-case name can have."""
    return {
        "value": model(f"{name} = x -> Linear(8)", f"output y = {name} + 1"),
        "input": model(f"output y = {name} -> Linear(8)", inputs=f"{name}: [B, 64]"),
        "output": model(f"output {name} = x -> Linear(8)"),
        "label": model(f"output y = x -> {name}: Linear(8) -> relu"),
        "layer": model(f"{name} = Linear(64)", f"output y = {name}({name}(x))"),
        "label in a block": f"block F(x: [B, D]) {{ return x -> {name}: Linear(D) -> relu }}\n"
        + model(f"for i in range(3) {{ x = x -> {name}: F }}", "output y = x"),
        "constant": f"model M({name}: int = 8) {{\n  input x: [B, 64]\n  output y = x -> Linear({name})\n}}\n",
        "tensor of a block": f"block F({name}: [B, D], n: int) {{ return {name} -> Linear(n) }}\n"
        + model("output y = x -> F(8) -> F(9)"),
        "constant of a block": f"block F(x: [B, D], {name}: int) {{ return x -> Linear({name}) -> relu }}\n"
        + model("output y = x -> F(8) -> F(9)"),
        "loop variable": f"block F(x: [B, D], n: int) {{ for {name} in range(n) {{ x = x -> layers: Linear(8 + {name}) }} return x }}\n"
        + model("output y = x -> F(3) -> F(2)"),
        "size": model(
            f"output y = zeros([{name}, 2]) + sum(x)", inputs=f"x: [{name}, 64]"
        ),
        "weight": model(f"{name} = Param([64])", f"output y = x * {name}"),
    }


# A builtin matters where a name becomes a variable, an attribute of the base class where it
# becomes an attribute.
_VARIABLES = {
    "value",
    "input",
    "constant",
    "tensor of a block",
    "loop variable",
    "size",
}
_ATTRIBUTES = {
    "label",
    "layer",
    "label in a block",
    "weight",
    "constant",
    "constant of a block",
}
for name in EVERY:
    for role, text in _everywhere(name).items():
        if name in BUILTINS and name not in MODULE and role not in _VARIABLES:
            continue
        if name in MODULE and name not in OURS and role not in _ATTRIBUTES:
            continue
        IDENTIFIERS.add(f"{role} {name}", text)
for name in CAMEL:
    IDENTIFIERS.add(
        f"block {name}",
        f"block {name}(x: [B, D]) {{ return relu(x) + 1 }}\n"
        + model(f"output y = x -> {name}"),
    )
    IDENTIFIERS.add(
        f"block with a layer {name}",
        f"block {name}(x: [B, D]) {{ return x -> ops.Linear(D) -> relu }}\n"
        + model(f"output y = x -> {name}"),
    )
    IDENTIFIERS.add(f"model {name}", model("output y = x -> ops.Linear(8)", name=name))
IDENTIFIERS.add(
    "two labels of one name in Keras",
    model(
        "for i in range(2) { x = x -> layers: Linear(64) }",
        "output y = x -> layers_0: Linear(8)",
    ),
)
IDENTIFIERS.add(
    "labels that differ in case",
    model("h = x -> fc: Linear(8)", "output y = h -> FC: Linear(8)"),
)
IDENTIFIERS.add(
    "labels that a trailing line joins",
    model("h = x -> type: Linear(8)", "output y = h -> type_: Linear(8)"),
)
IDENTIFIERS.add(
    "labels that a leading line joins",
    model("h = x -> _x: Linear(8)", "output y = h -> x_: Linear(8)"),
)
IDENTIFIERS.add(
    "values that a trailing line joins",
    model(
        "self = x + 1",
        "self_ = x * 2",
        "output y = self -> Linear(8) -> add(self_ -> Linear(8))",
    ),
)

GROUPS = [STRINGS, IDENTIFIERS]
