"""Rearranging axes by a pattern of names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from nnspec.ir.dims import Dim, dim, product
from nnspec.ir.types import TensorType
from nnspec.ops.base import Io, NoFlops, OpError, Traffic
from nnspec.ops.checked import Before
from nnspec.ops.pattern_plan import Group, Plan
from nnspec.ops.shaping import expanded_keras, permuted_keras, permuted_torch, single
from nnspec.ops.sizes import REST
from nnspec.pycode.expressions import Expr, Namespace, expression
from nnspec.records import dataclass

ops = Namespace("ops")

_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_][A-Za-z0-9_]*|1|[()]|\S)")

SPREAD: Group = ("...",)  # axes on their own
MERGED = "(...)"  # axes that parentheses join into one


def _as_sizes(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    items: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType]
    return {
        k: dim(v) if isinstance(v, int) and not isinstance(v, bool) else v
        for k, v in items.items()
    }


class Rearrange(NoFlops):
    """Splits, reorders and merges axes, by name: "b t (h d) -> b h t d" splits and swaps.

    Left stands the input, right the result. Parentheses join names into one axis, the last name running
    fastest; `1` is an axis of size 1; `...` stands for any axes. Each name occurs once on each side.
    Sizes that the input does not tell are given by name: of a split axis all but one.

    Notation after Rogozhnikov, "Einops" (2022).

    Example: `x -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads)`
    """

    spelling: ClassVar[str | None] = "rearrange"
    open: ClassVar[str | None] = "sizes"
    per_result: ClassVar[int | None] = 0

    pattern: str
    sizes: Annotated[dict[str, Dim], Before(_as_sizes)] = field(
        default_factory=dict[str, Dim]
    )

    def infer(self, x: TensorType) -> TensorType:
        plan = self.plan(x)
        return x.with_shape(*(plan.merged_size(group) for group in plan.right))

    def plan(self, x: TensorType) -> Plan:
        """The steps that the pattern means for this input; raises `OpError` if it does not fit."""
        return _Reading(self.pattern, self.sizes, x).plan()

    def traffic(self, x: TensorType) -> Traffic:
        """Merging axes that were moved copies the elements; all else is a view."""
        plan = self.plan(x)
        moved = plan.order != tuple(range(len(plan.order)))
        return Traffic((x,), (self.infer(x),)) if moved and plan.merges else Traffic()

    def reorders(self, *inputs: Any) -> tuple[int, ...] | None:
        plan = self.plan(inputs[0])
        moved = plan.splits or plan.dropped or plan.merges or plan.added
        return None if moved else plan.order

    def torch(self, io: Io) -> Expr:
        plan = self.plan(io.type("x"))
        if plan.is_one_reshape:
            return io["x"].method("reshape", *plan.final_sizes(io))
        result = _split_torch(io["x"], plan, io)
        return _merged_torch(permuted_torch(result, plan.order), plan, io)

    def keras(self, io: Io) -> Expr:
        plan = self.plan(io.type("x"))
        if plan.is_one_reshape:
            return ops.reshape(io["x"], plan.final_sizes(io, leave_one=True))
        result = io["x"]
        if plan.splits or plan.dropped:
            result = ops.reshape(result, plan.split_sizes(io, leave_one=True))
        result = permuted_keras(result, plan.order)
        if plan.merges:
            return ops.reshape(result, plan.final_sizes(io, leave_one=True))
        return expanded_keras(result, plan.added)


# ---- reading a pattern --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """A pattern laid on an input."""

    pattern: str
    sizes: Mapping[str, Dim]
    x: TensorType

    def fault(
        self,
        message: str,
        hint: str | None = None,
        param: str = "pattern",
        decided: tuple[Dim, ...] = (),
    ) -> OpError:
        """An error that shows the pattern, the sizes and the input."""
        given = ", ".join(f"{name}={size}" for name, size in self.sizes.items())
        described = f'"{self.pattern}"{f" with {given}" if given else ""} on {self.x}'
        return OpError(
            f"{message} ({described})",
            param=param,
            hint=hint,
            code="E0410",
            sizes=decided,
        )

    def plan(self) -> Plan:
        left, right = self._sides()
        names_left, names_right = _flat(left), _flat(right)
        for name in names_left:
            if name not in names_right:
                raise self.fault(
                    f"`{name}` stands on the left alone",
                    "name every axis on both sides; to reduce one, use `mean(dim=...)` or the like",
                )
        for name in names_right:
            if name not in names_left:
                raise self.fault(
                    f"`{name}` stands on the right alone",
                    "name every axis on both sides; to repeat one, use `broadcast` or `repeat`",
                )
        for name in self.sizes:
            if name not in names_left:
                raise self.fault(
                    f"a size is given for `{name}`, which the pattern does not name",
                    hint="leave the size out, or name the axis in the pattern",
                )
        atoms = _joined(left, right)
        return self._measured(atoms[0], atoms[1])

    def _sides(self) -> tuple[list[Group], list[Group]]:
        parts = self.pattern.split("->")
        if len(parts) != 2:
            raise self.fault(
                "a pattern has one `->`", 'write it as "input axes -> result axes"'
            )
        left, right = self._groups(parts[0]), self._groups(parts[1])
        if MERGED in _flat(left):
            raise self.fault(
                "`...` cannot stand in parentheses on the left",
                hint="name the axes that are to be split",
            )
        if (SPREAD in left) != bool({"...", MERGED} & {*_flat(right)}):
            raise self.fault(
                "`...` must stand on both sides or on neither",
                hint="write `...` on the other side too",
            )
        rest = self.x.rank - len(left) + 1
        if SPREAD not in left and self.x.rank != len(left):
            raise self.fault(
                f"the pattern names {len(left)} axes, and the input has {self.x.rank}",
                hint="name each axis of the input, or write `...` for the others",
            )
        if rest < 0:
            raise self.fault(
                f"the pattern names at least {len(left) - 1} axes, and the input has {self.x.rank}",
                hint="name each axis of the input, or write `...` for the others",
            )
        names = tuple(f"...{place}" for place in range(rest))
        return _spread(left, names), _spread(right, names)

    def _groups(self, text: str) -> list[Group]:
        groups: list[Group] = []
        inner: list[str] | None = None
        seen: set[str] = set()
        for token in _TOKEN.findall(text):
            if token == "(" and inner is None:
                inner = []
            elif token == ")" and inner is not None:
                groups.append(tuple(inner))
                inner = None
            elif token == "1":
                groups.extend([()] if inner is None else [])
            elif token != "..." and not token.isidentifier():
                raise self.fault(
                    f"`{token}` has no meaning here",
                    hint="use names, `1`, `...` and parentheses",
                )
            elif token in seen:
                raise self.fault(
                    f"`{token}` stands twice on one side",
                    hint="give each axis its own name",
                )
            else:
                seen.add(token)
                groups.extend([(token,)] if inner is None else [])
                if inner is not None:
                    inner.append(MERGED if token == "..." else token)
        if inner is not None:
            raise self.fault("a parenthesis is not closed", hint="close it with `)`")
        return groups

    def _measured(
        self, left: list[tuple[Group, ...]], right: list[tuple[Group, ...]]
    ) -> Plan:
        known: dict[Group, Dim] = {}
        solved: set[Group] = set()
        for axis, (group, size) in enumerate(zip(left, self.x.shape, strict=True)):
            unknown = [atom for atom in group if not self._is_given(atom)]
            for atom in group:
                if self._is_given(atom):
                    known[atom] = product(self.sizes[name] for name in atom)
            if len(unknown) > 1:
                names = " and ".join(f"`{' '.join(atom)}`" for atom in unknown)
                raise self.fault(
                    f"the sizes of {names} cannot both be told from axis {axis} of size {size}",
                    "give all but one of them by name",
                )
            given = product(known[atom] for atom in group if atom in known)
            if unknown:
                known[unknown[0]] = self._quotient(axis, size, given, unknown[0])
                solved.add(unknown[0])
            elif given != size:
                raise self.fault(
                    f"axis {axis} has size {size}, and the pattern says {given}",
                    hint="make the sizes that are given multiply to that of the axis",
                )
        return Plan(tuple(left), tuple(right), known, frozenset(solved), self.x)

    def _is_given(self, atom: Group) -> bool:
        return all(name in self.sizes for name in atom)

    def _quotient(self, axis: int, size: Dim, given: Dim, atom: Group) -> Dim:
        # Names that were joined because they stay together may have sizes of their own.
        parts = product(self.sizes[name] for name in atom if name in self.sizes)
        for part in (given, given * parts):
            if part.falls_below(1):
                raise self.fault(
                    f"a size must be at least 1, not {part}",
                    param="sizes",
                    hint="give a size of at least 1",
                )
            if size % part != 0:
                mend = (
                    "give a size that divides the axis"
                    if size.is_constant
                    else f"say so if it does: `require {size} % {part} == 0`"
                )
                raise self.fault(
                    f"axis {axis} of size {size} does not divide by {part}",
                    mend,
                    "sizes",
                    (size, part),
                )
        return size // given


def _flat(groups: list[Group]) -> list[str]:
    return [name for group in groups for name in group]


def _spread(groups: list[Group], names: Group) -> list[Group]:
    """With `...` replaced by names, each its own axis (or all in one, inside parentheses)."""
    result: list[Group] = []
    for group in groups:
        if group == SPREAD:
            result.extend((name,) for name in names)
            continue
        place = group.index(MERGED) if MERGED in group else None
        result.append(
            group if place is None else (*group[:place], *names, *group[place + 1 :])
        )
    return result


def _joined(
    left: list[Group], right: list[Group]
) -> tuple[list[tuple[Group, ...]], list[tuple[Group, ...]]]:
    """Both sides in atoms: names that stand together, in order, in one group on both sides are one."""
    follows_left = {a: b for group in left for a, b in pairwise(group)}
    follows_right = {a: b for group in right for a, b in pairwise(group)}

    def atoms(group: Group) -> tuple[Group, ...]:
        found: list[Group] = []
        for name in group:
            before = found[-1][-1] if found else None
            together = before is not None and follows_left.get(
                before
            ) == name == follows_right.get(before)
            if together:
                found[-1] = (*found[-1], name)
            else:
                found.append((name,))
        return tuple(found)

    return [atoms(group) for group in left], [atoms(group) for group in right]


# ---- PyTorch ------------------------------------------------------------------------------------


def _split_torch(x: Expr, plan: Plan, io: Io) -> Expr:
    if not plan.splits:
        return x.method("squeeze", single(plan.dropped)) if plan.dropped else x
    if len(plan.splits) > 1 or plan.dropped:
        return x.method("reshape", *plan.split_sizes(io))
    axis = next(iter(plan.splits))
    parts = plan.left[axis]
    # All parts but one were given: the other is what remains.
    sizes = tuple(
        REST if part in plan.solved else expression(plan.size[part]) for part in parts
    )
    return x.method("unflatten", -1 if axis == plan.x.rank - 1 else axis, sizes)


def _merged_torch(x: Expr, plan: Plan, io: Io) -> Expr:
    if not plan.merges:
        for place in plan.added:
            x = x.method("unsqueeze", place)
        return x
    if len(plan.merges) > 1 or plan.added:
        return x.method("reshape", *plan.final_sizes(io))
    axis = next(iter(plan.merges))
    last = axis == len(plan.right) - 1
    return x.method(
        "flatten", *((axis,) if last else (axis, axis + len(plan.right[axis]) - 1))
    )
