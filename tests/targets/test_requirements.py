"""What a spec requires is checked by emitted programs where it stands: on that way of an `if`, in those turns of a loop."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emit
from nnspec.targets.file import emit_programs
from nnspec.verify.build import import_source
from tests.targets.parts import loaded, spec

pytestmark = pytest.mark.framework

TARGETS = ("torch", "keras")
both_targets = pytest.mark.parametrize("target", TARGETS)

Constants = Mapping[str, Any]


def program(found: Spec, target: str) -> ModuleType:
    return import_source(emit(found.program, target))


def made(part: Any, constants: Constants) -> Any:
    """A part by these constants, its input 6 wide where it takes that."""
    taken = inspect.signature(part).parameters
    return part(**({"width": 6} if "width" in taken else {}) | dict(constants))


def applied(model: Any, *inputs: np.ndarray) -> Any:
    """What a model of either target gives."""
    import torch

    tensors = [torch.from_numpy(each) for each in inputs]
    packed = inspect.signature(model.call if hasattr(model, "call") else model.forward)
    if list(packed.parameters) == ["inputs"] and len(tensors) > 1:
        return model(tensors)
    return model(*tensors)


def filled(*shape: int) -> np.ndarray:
    return np.full(shape, 0.5, np.float32)


@dataclass
class Case:
    """A block, the arguments of its uses, constants of which the class refuses some and takes others."""

    body: str
    parameters: str
    uses: str
    refused: Sequence[Constants]
    taken: Sequence[Constants]


GATED = "gated: bool, n: int"
CASES = {
    "an arm": Case(
        'if gated { require n % 2 == 0, "odd"\n x = x -> fc: Linear(n) } return tanh(x)',
        GATED,
        "true, 4; false, 3; true, 6",
        [{"gated": True, "n": 3}],
        [{"gated": False, "n": 5}, {"gated": True, "n": 8}],
    ),
    "the else arm": Case(
        'if gated { x = x -> fc: Linear(n) } else { require n % 2 == 0, "odd" } return tanh(x)',
        GATED,
        "true, 3; false, 4",
        [{"gated": False, "n": 3}],
        [{"gated": True, "n": 5}, {"gated": False, "n": 8}],
    ),
    "an arm in an arm": Case(
        'if gated { if n > 4 { require n % 2 == 0, "odd" x = x -> fc: Linear(n) } } return tanh(x)',
        GATED,
        "true, 6; false, 5; true, 3",
        [{"gated": True, "n": 7}],
        [{"gated": True, "n": 3}, {"gated": False, "n": 7}, {"gated": True, "n": 8}],
    ),
    "an arm that does nothing else": Case(
        'if gated { require n % 2 == 0, "odd" } return x -> fc: Linear(6)',
        GATED,
        "true, 4; false, 3",
        [{"gated": True, "n": 3}],
        [{"gated": False, "n": 5}, {"gated": True, "n": 8}],
    ),
    "an arm that returns": Case(
        'if gated { require n % 2 == 0, "odd" return tanh(x) } return x * 2.0',
        GATED,
        "true, 4; false, 3",
        [{"gated": True, "n": 3}],
        [{"gated": False, "n": 5}, {"gated": True, "n": 8}],
    ),
    "behind a return in an arm": Case(
        'if gated { if n > 4 { return tanh(x) } require n % 2 == 0, "odd" x = relu(x) } return x * 2.0',
        GATED,
        "true, 5; true, 4; false, 3",
        [{"gated": True, "n": 3}],
        [{"gated": True, "n": 7}, {"gated": False, "n": 3}, {"gated": True, "n": 2}],
    ),
    "behind a return that hangs on a size": Case(
        'if D > 6 { return tanh(x) } require n % 2 == 0, "odd" return x -> fc: Linear(n)',
        "n: int",
        "8; 3",
        [{"n": 3}, {"width": 6, "n": 5}],
        [{"n": 4}, {"width": 8, "n": 5}],
    ),
    "an arm that hangs on a size": Case(
        'if D > 6 { require n % 2 == 0, "odd" x = tanh(x) } else { x = x -> Linear(8) } return x',
        "n: int",
        "3; 2",
        [{"width": 8, "n": 3}],
        [{"width": 6, "n": 3}, {"width": 8, "n": 4}],
    ),
    "a size of the input": Case(
        'if gated { require D % n == 0, "odd" x = tanh(x) } return x * 2.0',
        GATED,
        "true, 3; false, 4",
        [{"gated": True, "n": 4}],
        [{"gated": False, "n": 5}, {"gated": True, "n": 2}],
    ),
    "an arm in a loop": Case(
        'for i in range(n) { if gated { require k > 1, "odd" x = tanh(x) } x = x -> fc: Linear(6) } return x',
        "gated: bool, n: int, k: int",
        "true, 2, 3; false, 3, 0",
        [{"gated": True, "n": 2, "k": 1}],
        [{"gated": False, "n": 2, "k": 1}, {"gated": True, "n": 0, "k": 1}],
    ),
    "an arm that some turns take": Case(
        'for i in range(n) { if i > 1 { require k > i, "odd" x = tanh(x) } x = x -> fc: Linear(6) } return x',
        "n: int, k: int",
        "2, 0; 4, 4",
        [{"n": 3, "k": 2}, {"n": 4, "k": 3}],
        [{"n": 2, "k": 0}, {"n": 3, "k": 3}],
    ),
    "a loop in an arm": Case(
        'if gated { for d in ds { require n % d == 0, "odd" x = x -> fc: Linear(6) } } return tanh(x)',
        "gated: bool, n: int, ds: list[int]",
        "true, 6, [2, 3]; true, 4, [4]; false, 3, [2]",
        [{"gated": True, "n": 4, "ds": [2, 3]}],
        [{"gated": False, "n": 4, "ds": [3]}, {"gated": True, "n": 4, "ds": []}],
    ),
    "loops in loops": Case(
        'for i in range(n) { for j in range(i) { if j > 0 { require k > i + j, "odd" } x = relu(x) } } return x',
        "n: int, k: int",
        "2, 0; 3, 4",
        [{"n": 3, "k": 3}],
        [{"n": 2, "k": 0}, {"n": 3, "k": 4}],
    ),
    "a loop that has no turn": Case(
        'for i in range(n) { require k % 2 == 0, "odd" x = x -> fc: Linear(6) } return x',
        "n: int, k: int",
        "0, 1; 3, 2",
        [{"n": 1, "k": 1}],
        [{"n": 0, "k": 3}],
    ),
}


@both_targets
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_class_refuses_what_breaks_a_requirement_that_it_comes_to(
    case: Case, target: str
) -> None:
    found = spec(case.body, case.uses, case.parameters)
    module = program(found, target)
    assert applied(module.m(), filled(2, 6)).shape[0] == 2
    assert emit(found.program, target).count("class Part") == 1
    for constants in case.refused:
        with pytest.raises(ValueError, match=r"^odd$"):
            made(module.Part, constants)
    for constants in case.taken:
        made(module.Part, constants)


@both_targets
def test_constants_that_an_arm_is_not_written_for_are_refused_there_alone(
    target: str,
) -> None:
    """Both uses that come to the inner `if` go one way there."""
    body = "if gated { if n > 4 { x = x * 2.0 } x = x -> fc: Linear(6) } return x -> last: Linear(n)"
    module = program(spec(body, "true, 6; false, 3; true, 5", GATED), target)
    with pytest.raises(ValueError, match="only written for n > 4"):
        made(module.Part, {"gated": True, "n": 3})
    made(module.Part, {"gated": False, "n": 4})


def test_a_requirement_of_what_ways_bind_unlike_is_that_of_each_use() -> None:
    body = (
        'if a { k = n } else { k = 3 * n + 1 } require k % 4 == 0, "odd" return tanh(x)'
    )
    found = spec(body, "true, 4; false, 5", "a: bool, n: int")
    module = program(found, "torch")
    assert applied(module.m(), filled(2, 6)).shape == (2, 6)
    for part, taken, refused in ((module.Part, 8, 6), (module.Part2, 9, 8)):
        made(part, {"n": taken})
        with pytest.raises(ValueError, match=r"^odd$"):
            made(part, {"n": refused})


def variants(text: str, target: str) -> ModuleType:
    """The program of all variants of a text."""
    found = load_source(Source("variants.nns", text), None, {})
    return import_source(emit_programs([each.program for each in found], target))


VARIANTS = """
model M(gated: bool, n: int) {
  input x: [B, 6]
  BODY
  output y = x -> last: Linear(6)
}
variant M1 = M(true, 4)
variant M2 = M(false, 3)
"""
BODIES = {
    "an arm": 'if gated { require n % 2 == 0, "odd"\n x = x -> a: Linear(n) -> b: Linear(6) }',
    "an arm that does nothing else": 'if gated { require n % 2 == 0, "odd" }',
    "a loop": 'for d in [1, 2] { if gated { require n % d == 0, "odd" } x = x -> fc: Linear(6) }',
}


@both_targets
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_models_refuse_what_their_arms_require(body: str, target: str) -> None:
    """A model of Keras is a function here."""
    module = variants(VARIANTS.replace("BODY", body), target)
    model = module.M if target == "torch" else module.m
    for each in (module.m1(), module.m2(), model(True, 8), model(False, 7)):
        assert applied(each, filled(2, 6)).shape == (2, 6)
    with pytest.raises(ValueError, match=r"^odd$"):
        model(True, 3)


# ---- sizes that are known only at run time ----

SIZED = """
block Part(x: [B, L], PARAMETERS) {
  BODY
}
model M {
  input x: [B, T]
  require T <= 16
  output y = USES
}
"""
LONG = "T is 9, and has to be at most 8"


@dataclass
class Sized:
    """A block that requires something of a length: what refuses 9 and takes 8, and what takes both."""

    body: str
    parameters: str
    uses: str
    refused: Sequence[Constants]
    taken: Sequence[Constants]


LIMITED = "gated: bool, most: int"
SIZES = {
    "everywhere": Sized(
        "require L <= most return tanh(x)",
        "most: int",
        "16; 17",
        [{"most": 8}],
        [{"most": 9}],
    ),
    "the other way round": Sized(
        "require most >= L return tanh(x)",
        "most: int",
        "16; 17",
        [{"most": 8}],
        [{"most": 9}],
    ),
    "an arm": Sized(
        "x = x * 1.0 if gated { require L <= most x = tanh(x) } return x * 2.0",
        LIMITED,
        "true, 16; false, 7",
        [{"gated": True, "most": 8}],
        [{"gated": False, "most": 8}],
    ),
    "an arm that does nothing else": Sized(
        "y = x * 2.0 if gated { y = y + 1.0 } else { require L <= most } return tanh(y)",
        LIMITED,
        "true, 7; false, 16",
        [{"gated": False, "most": 8}],
        [{"gated": True, "most": 8}],
    ),
    "an arm of nothing": Sized(
        "y = x * 2.0 if gated { require L <= most } return tanh(y)",
        LIMITED,
        "true, 16; false, 7",
        [{"gated": True, "most": 8}],
        [{"gated": False, "most": 8}],
    ),
    "behind a return": Sized(
        "if gated { return tanh(x) } x = relu(x) require L <= most return x * 2.0",
        LIMITED,
        "true, 7; false, 16",
        [{"gated": False, "most": 8}],
        [{"gated": True, "most": 8}],
    ),
    "turns": Sized(
        "for i in range(n) { if i > 0 { require L <= 8 * (i + 1) } x = relu(x) } return x",
        "n: int",
        "1; 1",
        [],
        [{}],
    ),
    "an arm that some turns take": Sized(
        "for i in range(n) { if i > 0 { require L <= most x = tanh(x) } x = relu(x) } return x",
        "n: int, most: int",
        "1, 7; 3, 16",
        [{"n": 2, "most": 8}],
        [{"n": 1, "most": 8}],
    ),
    "the number of a turn": Sized(
        "for i in range(n) { require L <= most * (i + 1) x = relu(x) } return x",
        "n: int, most: int",
        "1, 16; 3, 17",
        [{"n": 2, "most": 8}],
        [{"n": 2, "most": 9}, {"n": 0, "most": 8}],
    ),
}


@both_targets
@pytest.mark.parametrize("sized", SIZES.values(), ids=SIZES)
def test_a_part_refuses_sizes_where_it_comes_to_the_requirement(
    sized: Sized, target: str
) -> None:
    uses = " -> ".join(
        ("x", *(f"p{i}: Part({use})" for i, use in enumerate(sized.uses.split(";"))))
    )
    text = SIZED.replace("PARAMETERS", sized.parameters).replace("BODY", sized.body)
    module = program(loaded(text.replace("USES", uses)), target)
    model = module.m()
    assert applied(model, filled(2, 16)).shape == (2, 16)
    with pytest.raises(ValueError, match="T is 17, and has to be at most 16"):
        applied(module.m(), filled(2, 17))
    for constants in sized.refused:
        part = made(module.Part, constants)
        assert applied(part, filled(2, 8)).shape == (2, 8)
        with pytest.raises(ValueError, match=LONG):
            applied(made(module.Part, constants), filled(2, 9))
    for constants in sized.taken:
        assert applied(made(module.Part, constants), filled(2, 9)).shape == (2, 9)


@both_targets
def test_a_size_that_turns_change_is_checked_in_each(target: str) -> None:
    text = """
    block Part(x: [B, H], n: int) {
      for i in range(n) {
        require shape(x)[1] % 2 == 0, "odd"
        x = x[:, :shape(x)[1] // 2]
      }
      return x
    }
    model M {
      input x: [B, H]
      require H % 32 == 0
      output y = x -> a: Part(2) -> b: Part(3)
    }
    """
    module = program(loaded(text), target)
    assert applied(module.m(), filled(2, 64)).shape == (2, 2)
    assert applied(module.Part(2), filled(2, 12)).shape == (2, 3)
    with pytest.raises(ValueError, match="odd"):
        applied(module.Part(3), filled(2, 12))
    assert applied(module.Part(0), filled(2, 3)).shape == (2, 3)


@both_targets
@pytest.mark.parametrize("order", ["known, open", "open, known"])
def test_a_size_that_only_some_uses_know_is_checked_at_run_time(
    order: str, target: str
) -> None:
    """No constructor asks for the size that the model's own input will have."""
    outputs = {
        "known": "output w = z -> known: Part(32)",
        "open": "output y = x -> open: Part(16)",
    }
    text = (
        "block Part(x: [B, L], most: int) { require L <= most return tanh(x) }\n"
        "model M {\n input x: [B, T]\n input z: [B, 8]\n require T <= 16\n"
        + "\n".join(outputs[each] for each in order.split(", "))
        + "\n}"
    )
    module = program(loaded(text), target)
    shapes = [
        tuple(each.shape) for each in applied(module.m(), filled(2, 16), filled(2, 8))
    ]
    assert sorted(shapes) == [(2, 8), (2, 16)]
    with pytest.raises(ValueError, match=LONG):
        applied(module.Part(8), filled(2, 9))


MODELS = """
model M(gated: bool, most: int) {
  input x: [B, T]
  BODY
}
variant M1 = M(true, 8)
variant M2 = M(false, 8)
"""
ARMS = {
    "an arm": "if gated { require T <= most x = tanh(x) } output y = x * 2.0",
    "the else arm": "if not gated { x = tanh(x) } else { require T <= most } output y = x * 2.0",
    "outputs": "if gated { require T <= most\n output y = x * 2.0 } else { output y = tanh(x) }",
}


@both_targets
@pytest.mark.parametrize("body", ARMS.values(), ids=ARMS)
def test_models_refuse_sizes_on_the_way_that_requires_them(
    body: str, target: str
) -> None:
    module = variants(MODELS.replace("BODY", body), target)
    assert applied(module.m1(), filled(2, 8)).shape == (2, 8)
    assert applied(module.m2(), filled(2, 9)).shape == (2, 9)
    with pytest.raises(ValueError, match=LONG):
        applied(module.m1(), filled(2, 9))
