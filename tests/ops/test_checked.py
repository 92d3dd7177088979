"""Fields of operators: what each kind takes, and what is said of the rest."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Annotated, Any, ClassVar, Literal

import pytest

from nnspec.ir.dims import Dim, dim
from nnspec.ir.types import DType
from nnspec.ops.base import Count, Float, IntegerOrList, Rate
from nnspec.ops.checked import (
    After,
    Before,
    Checked,
    FieldError,
    fields_of,
    with_fields,
)


class Sample(Checked):
    kind: ClassVar[int] = 7

    width: Count
    rate: Rate = 0.0
    mode: Literal["a", "b"] = "a"
    names: dict[str, Dim] = field(default_factory=dict[str, Dim])


class Derived(Sample):
    pair: tuple[float, bool] | None = None


TAKEN = [
    (Dim, dim(3), dim(3)),
    (Count, 3, dim(3)),
    (Float, dim(2), 2.0),
    (Float, float("inf"), float("inf")),
    (bool, True, True),
    (DType, DType.F32, DType.F32),
    (IntegerOrList, [1, 2], (dim(1), dim(2))),
    (tuple[float, bool], (1.0, False), (1.0, False)),
    (float | None, None, None),
    (Any, "x", "x"),
    (dict[str, float], {"a": 1.0}, {"a": 1.0}),
    (Annotated[float, Before(abs), After(lambda x: x + 1)], -2.0, 3.0),
    (Annotated[float, Before(lambda x: x + 1), Before(abs)], -2.0, 3.0),
]
REFUSED = [
    (Dim, 3, "must be an integer"),
    (Count, True, "must be an integer"),
    (Count, 0, "must be at least 1, not 0"),
    (Rate, 1.0, "must be at least 0 and less than 1, not 1.0"),
    (float, True, "must be a number"),
    (float, "1", "must be a number"),
    (int, True, "must be an int"),
    (bool, 1, "must be true or false"),
    (str, 1, "must be a string"),
    (DType, "f32", "must be a dtype such as `f32`"),
    (tuple[float, ...], 1.0, "must be a list"),
    (tuple[float, ...], (1.0, "1"), "must be a number"),
    (tuple[float, bool], (1.0,), "must be a list of 2"),
    (IntegerOrList, "3", "must be an integer"),
    (Literal["a", "b"], "c", 'must be "a" or "b"'),
    (Literal[1], True, "must be 1"),
    (dict[str, float], {"a": "b"}, "must be a number"),
    (None, 0, "must be none"),
]


def holder(kind: Any) -> type[Checked]:
    return type("Holder", (Checked,), {"__annotations__": {"it": kind}})


def made(cls: Any, **given: Any) -> Any:
    return cls(**given)


@pytest.mark.parametrize(("kind", "given", "held"), TAKEN)
def test_what_a_kind_takes(kind: Any, given: Any, held: Any) -> None:
    it = made(holder(kind), it=given).it
    assert it == held
    assert type(it) is type(held)


@pytest.mark.parametrize(("kind", "given", "reason"), REFUSED)
def test_what_a_kind_refuses(kind: Any, given: Any, reason: str) -> None:
    with pytest.raises(FieldError) as caught:
        made(holder(kind), it=given)
    assert (caught.value.name, caught.value.reason) == ("it", reason)


def test_fields_are_inherited_and_have_defaults() -> None:
    assert list(fields_of(Derived)) == ["width", "rate", "mode", "names", "pair"]
    made = Derived(width=dim(2), mode="b")
    assert (made.rate, made.names, made.given) == (0.0, {}, {"width", "mode"})
    assert made.names is not Derived(width=dim(2)).names
    assert [name for name, each in fields_of(Derived).items() if each.is_required] == [
        "width"
    ]


def test_missing_and_unknown_fields() -> None:
    with pytest.raises(FieldError) as caught:
        made(Sample, rate=0.5)
    assert (caught.value.name, caught.value.missing) == ("width", True)
    with pytest.raises(FieldError, match="`depth` is no field"):
        made(Sample, width=1, depth=2)


def test_they_are_values() -> None:
    class Small(Checked):
        width: Dim

    one, same = Small(width=dim(1)), Small(width=dim(1))
    assert one == same != Small(width=dim(2))
    assert hash(one) == hash(same)
    assert repr(one) == f"Small(width={dim(1)!r})"
    changed = with_fields(one, width=dim(5))
    assert (changed.width, one.width) == (5, 1)
    with pytest.raises(FrozenInstanceError):
        setattr(one, "width", dim(3))  # noqa: B010
    made = Sample(width=dim(1), mode="b")
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert copied == made
        assert copied.given == made.given
