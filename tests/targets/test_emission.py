"""What emitted files are held to, and mistakes of the code generators that must not come back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.compiler import load_all, load_source
from nnspec.ir.types import DType
from nnspec.ops.element_types import FRAMEWORK_NAMES
from nnspec.source import Source
from nnspec.targets import emit
from tests.ir import models
from tests.targets.comparing import agree

SPECS = sorted(Path("specs").glob("*/*.nns"))
TARGETS = ("torch", "keras")


@pytest.mark.slow
def test_emitted_files_are_formatted_and_clean(tmp_path: Path) -> None:
    for path in SPECS:
        for spec in load_all(str(path)):
            for target in TARGETS:
                name = f"{path.stem}_{spec.name.lower()}_{target}.py"
                (tmp_path / name).write_text(emit(spec.program, target))
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--select", "F,E,I,B,UP", "--line-length", "100"]
    check = [*ruff, "check", "--no-cache", *rules, str(tmp_path)]
    found = subprocess.run(check, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[:3000]
    form = [*ruff, "format", "--no-cache", "--isolated", "--check", str(tmp_path)]
    found = subprocess.run(form, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[:3000]


HASHES = """
from pathlib import Path
from nnspec.compiler import load_all
from nnspec.targets import emit
import hashlib
total = hashlib.sha256()
for name in ("vision/resnet", "vision/efficientnet", "language/gpt2", "sequence/recurrent"):
    for spec in load_all(f"specs/{name}.nns")[:1]:
        for target in ("torch", "keras"):
            total.update(emit(spec.program, target).encode())
print(total.hexdigest())
"""


@pytest.mark.slow
def test_emitted_files_do_not_depend_on_hashes() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", HASHES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


CASES = {
    "old value of a carried name, read after the name has moved on": """
        model M {
          input x: [B, 4]
          for _ in range(3) { old = x
            x = x -> Linear(4) -> tanh
            x = x + old }
          output y = x
        }""",
    "two names that a loop swaps": """
        model M {
          input x: [B, 4]
          input z: [B, 4]
          for _ in range(3) { x, z = z, x -> Linear(4) }
          output y = x - z
        }""",
    "a value that outlives the branch which overwrites its name": """
        block Part(x: [B, C], w: int) {
          y = x
          if w != C { y = y -> Linear(w) }
          y = y -> Linear(C)
          if w == C { return y }
          return x + tanh(y)
        }
        model M {
          input x: [B, 4]
          output y = x -> Part(4) -> Part(5) -> Part(6)
        }""",
    "a name given before an if, and again on one way": """
        block Part(x: [B, C], twice: bool) {
          y = x -> Linear(C)
          z = y
          if twice { y = y -> Linear(C) -> tanh }
          return y + z * 0.5
        }
        model M {
          input x: [B, 4]
          output y = x -> Part(true) -> Part(false)
        }""",
    "layers in a comprehension": """
        model M {
          input x: [B, 3]
          output y = concat([x] + [x -> Linear(q) for q in [2, 4]], dim=1)
        }""",
    "layers that only some turns make": """
        model M {
          input x: [B, 3]
          for i in range(3) { if i > 0 { x = x -> hidden: Linear(3) }
            x = tanh(x) }
          output y = x
        }""",
    "parameters in the turns of a loop": """
        model M {
          input x: [B, 3]
          for _ in range(3) { x = tanh(x + Param([3], init=init.normal(1.0))) }
          output y = x
        }""",
    "two carried widths, each made of the other": """
        model M {
          input x: [B, 3]
          input z: [B, 2]
          for _ in range(3) {
            x, z = concat([x, z], dim=1), x -> hidden: Linear(shape(x)[1])
          }
          output y = x -> last: Linear(shape(z)[1])
        }""",
    "a claim of a function inside of a loop": """
        fn mixed(a: [*S], b: [*S]) -> [*S] { return tanh(a) - b }
        model M {
          input x: [B, 3]
          for _ in range(2) { x = mixed(x, x -> Linear(shape(x)[1])) }
          output y = x -> Linear(shape(x)[1])
        }""",
    "a loop in a loop, with widths that grow in both": """
        model M {
          input x: [B, 3]
          c = x
          for e in [2, 4] {
            for k in [2, 4] { x = concat([x, x -> Linear(k)], dim=1) }
            c = concat([c, x -> Linear(e)], dim=1)
          }
          output y = c
        }""",
}


@pytest.mark.framework
@pytest.mark.parametrize("name", CASES)
def test_program_means_what_the_spec_says(name: str) -> None:
    (spec,) = load_source(Source("case.nns", CASES[name]), ["M"], {})
    agree(spec)
    compile(emit(spec.program, "keras"), "case", "exec")


RESERVED = [
    "class_name",
    "lambda_",
    "print",
    "len",
    "super",
    "object",
    "self_",
    "torch",
    "nn",
    "F",
    "keras",
    "layers",
    "ops",
    "forward",
    "call",
    "build",
    "args",
    "kwargs",
    "train",
    "eval",
    "training",
    "parameters",
    "type",
    "to",
    "half",
    "name",
    "weights",
    "compile",
    "math",
    "options",
]


@pytest.mark.framework
def test_names_that_targets_reserve_still_work() -> None:
    lines = ["model M {", "  input x: [B, 3]", "  y = x"]
    lines += [f"  y = y -> {name}: Linear(3) -> tanh" for name in RESERVED]
    text = "\n".join([*lines, "  output out = y", "}"])
    (spec,) = load_source(Source("names.nns", text), ["M"], {})
    agree(spec)
    compile(emit(spec.program, "keras"), "names", "exec")


@pytest.mark.framework
def test_variables_that_python_or_the_file_use_still_work() -> None:
    names = [
        "len",
        "torch",
        "nn",
        "F",
        "math",
        "device",
        "options",
        "training",
        "type",
        "self_",
        "ops_",
    ]
    lines = ["model M {", "  input x: [B, 3]"]
    for before, after in zip(["x", *names], names, strict=False):
        lines.append(f"  {after} = {before} -> Linear(3) -> tanh")
        lines.append(f"  {after} = {after} + {before}")
    text = "\n".join([*lines, f"  output out = {names[-1]}", "}"])
    (spec,) = load_source(Source("names.nns", text), ["M"], {})
    agree(spec)
    compile(emit(spec.program, "keras"), "names", "exec")


CALLED_ALIKE = """
block Scaled(x: [B, D], scale: float = 2.0, up: int = 3) {
  return (x -> scale: Linear(up) -> up: Linear(D)) * scale
}
model M { input x: [B, 4]
  output y = x -> first: Scaled(up=5) -> second: Scaled(0.5) }
"""


def test_constants_called_as_layers_are_kept_beside_them() -> None:
    (spec,) = load_source(Source("called.nns", CALLED_ALIKE), ["M"], {})
    torch, keras = (emit(spec.program, target) for target in ("torch", "keras"))
    for text in (torch, keras):
        assert "self.scale_ = scale\n" in text
        assert "* self.scale_" in text
    assert '"up": self.up_' in keras
    assert "self.up_" not in torch  # the forward pass reads it nowhere


def test_keras_keeps_a_layer_that_no_input_feeds():
    """A functional model would compute it once, as it is built, and lose its weights."""
    source = models.spec(
        """
        model Net {
          input x: [B, T, 8]
          table = Embedding(6, 8)
          output y = x + mean(table(arange(6)), dim=0)
        }
        """
    ).source("keras")
    assert "self.table = embedding(6, 8" in source


@pytest.mark.parametrize("target", TARGETS)
def test_a_choice_that_is_made_is_not_written(target: str) -> None:
    net = models.spec(
        """
        block Part(x: [B, D], width: int, wide: bool) {
          y = x -> fc: Linear((4 * width if wide else width // 2), bias=not wide)
          if D == width { return y }
          else { return y -> out: Linear(width) }
        }

        model Net(wide: list[bool] = [true, false]) {
          input x: [B, 4]
          output y = x -> a: Part(8, wide[0])
        }
        """
    )
    source = emit(net.program, target)
    assert "if True" not in source
    assert "not True" not in source


@pytest.mark.parametrize("target", TARGETS)
def test_a_list_may_hold_no_tensor(target: str) -> None:
    net = models.spec(
        """
        block Part(x: [B, D], rest: list[[B, D]]) { return concat([x, *rest], dim=-1) }
        model Net { input x: [B, 4]  output y = (x, []) -> Part }
        """
    )
    assert "x: [B, D], rest: list of none -> [B, D]" in emit(net.program, target)


@pytest.mark.parametrize("target", TARGETS)
def test_a_size_may_be_required_to_be_another(target: str) -> None:
    net = models.spec(
        "model Net { input x: [B, 4]  require B + 1 != 0  output y = relu(x) }"
    )
    assert "has to be other than 0" in emit(net.program, target)


SIZES_OF_BEFORE = """
block P(x: [B, C], n: int) {
  for _ in range(n) { x = concat([x, x], dim=1) }
  features = concat([x, x], dim=1)
  for _, _ in enumerate([3, 3]) { x = features + (features -> Linear(shape(features)[1])) }
  return concat([x -> Linear(5), features -> Linear(shape(features)[1])], dim=1)
}
block Q(x: [B, C], n: int) {
  for _ in range(n) {
    features = concat([x, x], dim=1)
    for _ in range(2) { x = features -> Linear(shape(features)[1]) }
    x = concat([x, features], dim=1)
  }
  return x -> Linear(shape(x)[1])
}
block R(x: [B, C], n: int) {
  for _ in range(n) { x = concat([x, x -> Linear(2)], dim=1) }
  y = x
  for _ in range(n) { x = concat([x, x -> Linear(3)], dim=1) }
  return concat([x, y -> Linear(shape(y)[1])], dim=1)
}
model M {
  input x: [B, 4]
  output p = x -> P(2) -> P(3)
  output q = x -> Q(1) -> Q(2)
  output r = x -> R(2) -> R(3)
}
"""


@pytest.mark.framework
def test_a_size_of_before_a_loop_is_not_counted_along_in_it() -> None:
    """Weights of the oracle fit the emitted layers, and give the same."""
    (spec,) = load_source(Source("sizes.nns", SIZES_OF_BEFORE), ["M"], {})
    agree(spec)


@pytest.mark.parametrize("dtype", [each for each in DType if each is not DType.FLOAT])
def test_inputs_of_keras_have_their_element_type(dtype: DType) -> None:
    text = f"model M {{ input x: {dtype.value}[B, 8]\n output y = cast(x, float) -> Linear(3) }}"
    source = models.spec(text).source("keras")
    assert f'keras.Input((8,), dtype="{FRAMEWORK_NAMES[dtype]}", name="x")' in source
