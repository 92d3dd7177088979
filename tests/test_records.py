"""Classes of `nnspec.records` are dataclasses like those of the standard library, made later."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar

import pytest

from nnspec.records import dataclass

OPTIONS = [
    {"frozen": frozen, "eq": eq, "slots": slots}
    for frozen in (False, True)
    for eq in (False, True)
    for slots in (False, True)
]


def written(decorator: Any, options: dict[str, bool]) -> Any:
    """A class and one derived from it, with every kind of field that is in use."""

    @decorator(**options)
    class Base:
        kind: ClassVar[str] = "kind"
        a: int
        b: str = "b"

    @decorator(**options)
    class Derived(Base):
        c: list[int] = field(default_factory=lambda: [1], compare=False)
        d: int = field(default=4, repr=False)
        e: int = field(default=5, kw_only=True)

        def __post_init__(self) -> None:
            if self.a < 0:
                raise ValueError("negative")

    return Derived


@pytest.mark.parametrize("options", OPTIONS)
def test_as_the_standard_library_makes_them(options: dict[str, bool]) -> None:
    ours, theirs = written(dataclass, options), written(dataclasses.dataclass, options)
    assert described(ours) == described(theirs)
    assert ours.__match_args__ == theirs.__match_args__ == ("a", "b", "c", "d")
    mine, its = ours(1, d=3, e=6), theirs(1, d=3, e=6)
    assert repr(mine) == repr(its)
    assert dataclasses.asdict(mine) == dataclasses.asdict(its)
    assert hasattr(mine, "__dict__") == hasattr(its, "__dict__")
    assert ours.kind == "kind"
    assert (mine == ours(1, "b", [2], 3, e=6)) is options["eq"]
    assert (mine == its) is (its == mine) is False
    assert dataclasses.replace(mine, a=2).a == 2
    assert ours(1).c is not ours(1).c


def described(cls: type) -> list[list[Any]]:
    shown = ("name", "type", "default", "init", "repr", "hash", "compare", "kw_only")
    return [[getattr(f, name) for name in shown] for f in dataclasses.fields(cls)]


@pytest.mark.parametrize("options", OPTIONS)
def test_hashed_as_in_the_standard_library(options: dict[str, bool]) -> None:
    ours, theirs = written(dataclass, options), written(dataclasses.dataclass, options)
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)
    if theirs.__hash__ is not None:
        for cls in (ours, theirs):
            one, other = cls(1), cls(1, c=[7])
            assert (hash(one) == hash(other)) is options["eq"]


@pytest.mark.parametrize("slots", [False, True])
def test_frozen_ones_stay_as_they_are(slots: bool) -> None:
    made = written(dataclass, {"frozen": True, "slots": slots})(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
        made.a = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'a'"):
        del made.a


def test_wrong_calls_are_refused() -> None:
    cls = written(dataclass, {"frozen": True})
    for arguments in ((), (1, "b", [1], 4, 5, 6)):
        with pytest.raises(TypeError):
            cls(*arguments)
    with pytest.raises(ValueError, match="negative"):
        cls(-1)


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0

    def __repr__(self) -> str:
        return f"<{self.x}>"


@dataclass
class Counted:
    n: int

    def __eq__(self, other: object) -> bool:
        return True


def test_copies_before_the_class_was_ever_used() -> None:
    state = pickle.dumps(Point(1, 2))

    @dataclass(frozen=True, slots=True)
    class Fresh:
        x: int

    bare = object.__new__(Fresh)
    with pytest.raises(AttributeError):
        hash(bare)
    assert pickle.loads(state) == Point(1, 2) == copy.deepcopy(Point(1, 2))


def test_the_standard_library_can_derive_from_them() -> None:
    class Plain(Point):
        pass

    @dataclasses.dataclass(frozen=True)
    class More(Plain):
        z: int = 9

    assert dataclasses.astuple(More(1)) == (1, 0, 9)
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):
        dataclasses.dataclass(type("Thawed", (Point,), {}))


def test_what_a_class_defines_itself_stays() -> None:
    assert repr(Point(3)) == "<3>"
    assert Counted(1) == Counted(2)
    match Point(3):
        case Point(x, y):
            assert (x, y) == (3, 0)
