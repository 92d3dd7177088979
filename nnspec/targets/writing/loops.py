"""The loops of a forward pass: what they go through, and where their bodies find the layers of a turn."""

from __future__ import annotations

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.statements import Assign
from nnspec.records import dataclass
from nnspec.targets.contents import (
    branches_of,
    does_anything,
    keyed_in,
    loops_of,
    marker,
    names_in,
    reads_in,
    steps_of,
)
from nnspec.targets.names import safe_name
from nnspec.targets.writing.results import Results
from nnspec.targets.writing.scope import loop_variables
from nnspec.targets.writing.turns import count_variable, counted_loop


@dataclass(eq=False)
class Loops(Results):
    """How the loops of a forward pass begin."""

    def _flattens(self, loop: merged.Loop) -> bool:
        if self.dialect.nested_lists or self._is_streamed(loop):
            return False
        return self._is_flat(loop)

    def _is_flat(self, loop: merged.Loop) -> bool:
        """Whether a loop does nothing but run an inner one, whose layers lie in one flat list."""
        if len(loop.body) != 1 or not isinstance(loop.body[0], merged.Loop):
            return False
        inner = loop.body[0]
        return not any(loops_of(inner.body)) or self._is_flat(inner)

    def _begin_streams(self, loop: merged.Loop) -> None:
        """`blocks = iter(self.blocks)`: one flat list for the layers of inner loops, taken one by one."""
        if self.dialect.nested_lists:
            return
        for step in steps_of(loop.body):
            if len(step.turns) < 2 or step.turns[0].loop != loop.uid:
                continue
            for key in self._keys(step):
                if key not in self._streams:
                    attribute = tree.Attribute(
                        Name("self"), safe_name(key, self.dialect.target)
                    )
                    self._streams[key] = Name(self.names.free(key))
                    begun = Name("iter")(attribute)
                    self.statements.append(Assign((self._streams[key],), begun))

    def _take_layers(self, loop: merged.Loop) -> None:
        """`block = next(blocks)` at the start of a turn that has a layer of its own."""
        for step in steps_of(loop.body):
            if not step.turns or step.turns[-1].loop != loop.uid:
                continue
            for key in self._keys(step):
                if key in self._streams and key not in self._elements:
                    name = Name(self.names.free(_singular(key)))
                    self._elements[key] = name
                    taken = Name("next")(self._streams[key])
                    self.statements.append(Assign((name,), taken))

    def _enter_loop(self, loop: merged.Loop) -> None:
        """What a loop carries lies in its variables before it begins."""
        self._settle_all()
        for name, carried in loop.carried.items():
            self._lies_in(name, carried.initial)
        self._protect([loop], again=True)
        for name, carried in loop.carried.items():
            self._is_in(name, carried.entry)

    def _pin(self, loop: merged.Loop) -> None:
        """What a loop reads from outside is needed in every turn."""
        entries = {carried.entry for carried in loop.carried.values()}
        self._pinned |= {
            v for v in reads_in(loop.body) if v in self._held and v not in entries
        }

    def _open_loop(self, loop: merged.Loop) -> tuple[Expr, Expr]:
        """The target and the iterable of a loop, and where its body finds the layers of a turn."""
        chosen = loop_variables(loop.pattern, loop.variables, self.names)
        for unique, name in chosen.items():
            self._loop_names[unique] = Name(name)
        elements = self._loop_elements(loop)
        used = self._used_in(loop)
        keyed = bool(keyed_in(loop))
        if not used and elements and not keyed:
            return self._over_elements(elements)
        count = count_variable(loop)
        if elements and used <= {count}:
            return self._over_numbered(loop, count, elements)
        iterable = self._spelled(loop.iterable)
        target, iterable, number = counted_loop(
            loop,
            self._loop_names,
            iterable,
            self.names,
            (used, bool(elements) or keyed),
        )
        self._counts[loop.uid] = number
        for key, attribute in elements:
            self._elements[key] = attribute[number]
        return target, iterable

    def _close_loop(self, loop: merged.Loop) -> None:
        """What stands at the end of a turn."""

    def _loop_elements(self, loop: merged.Loop) -> list[tuple[str, Expr]]:
        """The lists of layers that a loop goes through, each with where it is found."""
        found: dict[str, Expr] = {}
        keyed = keyed_in(loop)
        for step in steps_of(loop.body):
            turns = [turn.loop for turn in step.turns]
            if loop.uid not in turns:
                continue
            for key in self._keys(step):
                if key in keyed or key in self._streams:
                    continue
                level = turns.index(loop.uid)
                if level == 0 or (
                    key not in self._elements and not self.dialect.nested_lists
                ):
                    attribute: Expr = tree.Attribute(
                        Name("self"), safe_name(key, self.dialect.target)
                    )
                else:
                    attribute = self._elements[key]
                found.setdefault(key, attribute)
        return list(found.items())

    def _used_in(self, loop: merged.Loop) -> set[str]:
        """The variables of a loop that its forward pass reads."""
        used: set[str] = set()
        for step in steps_of(loop.body):
            for result in step.results:
                used |= set(names_in(result))
        for branch in branches_of(loop.body):
            if marker(branch) is None and does_anything([branch]):
                used |= set(names_in(branch.condition))
        for inner in loops_of(loop.body):
            if not self._loop_has_elements(inner) or self._is_streamed(inner):
                used |= set(names_in(inner.iterable))
        return used & set(loop.variables)

    def _loop_has_elements(self, loop: merged.Loop) -> bool:
        return any(
            loop.uid in [t.loop for t in step.turns] for step in steps_of(loop.body)
        )

    def _is_streamed(self, loop: merged.Loop) -> bool:
        """Whether a loop takes its layers one by one, and so must count its turns itself."""
        return any(
            key in self._streams
            for step in steps_of(loop.body)
            for key in self._keys(step)
        )

    def _over_elements(self, elements: list[tuple[str, Expr]]) -> tuple[Expr, Expr]:
        """`for block in self.blocks`, or several lists side by side."""
        names: list[Expr] = []
        for key, _ in elements:
            depth_rest = self.dialect.nested_lists and key not in self._leaf_keys()
            name = Name(self.names.free(_singular(key) if not depth_rest else "stage"))
            names.append(name)
            self._elements[key] = name
        if len(elements) == 1:
            return names[0], elements[0][1]
        zipped = Name("zip")(*(attribute for _, attribute in elements), strict=True)
        return tree.Display("tuple", tuple(names)), zipped

    def _over_numbered(
        self, loop: merged.Loop, count: str | None, elements: list[tuple[str, Expr]]
    ) -> tuple[Expr, Expr]:
        """`for i, stage in enumerate(self.stages)`, where only the number of the turn is read."""
        known = self._loop_names.get(count) if count is not None else None
        number = known or Name(self.names.free("i"))
        self._counts[loop.uid] = number
        target, iterable = self._over_elements(elements)
        return tree.Display("tuple", (number, target)), Name("enumerate")(iterable)

    def _leaf_keys(self) -> set[str]:
        """Labels whose list has one level."""
        found: set[str] = set()
        for step in steps_of(self.plan.items):
            levels = sum(1 for _ in step.turns)
            for key in self._keys(step):
                current = self._elements.get(key)
                depth = 1 if current is None else 2
                if levels <= depth:
                    found.add(key)
        return found


def _singular(key: str) -> str:
    return (
        key[:-1]
        if key.endswith("s") and len(key) > 3 and not key.endswith("ss")
        else f"{key}_layer"
    )
