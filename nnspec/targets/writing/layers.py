"""Where a forward pass finds the layers of a class, and how its loops go through lists of them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.statements import Assign
from nnspec.targets.contents import (
    branches_of,
    checked_sizes,
    does_anything,
    has_constructs,
    keyed_in,
    keys_of,
    loops_of,
    names_in,
    names_read,
    steps_of,
)
from nnspec.targets.names import Names, safe_name
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.carried import CarriedSizes, RunningNames
from nnspec.targets.writing.scope import loop_variables
from nnspec.targets.writing.sizes import ForwardScope
from nnspec.targets.writing.turns import (
    Places,
    count_variable,
    counted_loop,
    turn_numbers,
)
from nnspec.targets.writing.written import Written

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import Target


class StoredLayers:
    """Layers that the constructor has put into attributes, and into lists for the turns of loops."""

    def __init__(
        self,
        plan: ClassPlan,
        dialect: Target,
        names: Names,
        scope: ForwardScope,
        written: Written,
    ) -> None:
        self._plan = plan
        self._dialect = dialect
        self._names = names
        self._scope = scope
        self._written = written
        # By the keys of layers: what is a layer of this turn, and lists that inner loops take one by one.
        self._elements: dict[str, Expr] = {}
        self._streams: dict[str, Name] = {}
        # The numbers of turns, by loop.
        self._counts: dict[int, Expr] = {}
        integers = _integers(plan)
        variable = RunningNames(plan, names, integers).variable
        self._carried = CarriedSizes(plan, scope, integers, variable, of_tensors=False)

    # ---- one layer ----

    def prepare(self, step: merged.Step) -> None:
        """The constructor has made all."""

    def crowds(self, step: merged.Step, pending: Expr) -> bool:
        """Names of layers are short."""
        return False

    def module(self, step: merged.Step, suffix: str) -> Expr:
        """A layer as an attribute, in lists or tables by the numbers of turns."""
        key = step.label + suffix
        if key in self._elements:
            return self._element(step, self._elements[key])
        found = self._attribute(key)
        numbers = tuple(turn.index for turn in step.turns)
        if None in numbers:
            for turn in step.turns:
                index = self._counts.get(turn.loop or 0, Name("i"))
                if key in self._keyed:
                    index = Name("str")(index)
                found = found[Literal(turn.index) if turn.index is not None else index]
            return found
        return self._places.get(key, Places()).element(found, turn_numbers(step))

    def is_made(self, branch: merged.Branch) -> Expr | None:
        """`self.down is not None`, where the branch makes that layer and is in no loop."""
        mark = branch.mark
        if mark is None or any(mark.turns) or not has_constructs([branch]):
            return None
        attribute = self._attribute(keys_of(mark)[0])
        return tree.Binary("is not", attribute, Literal(None))

    def _attribute(self, key: str) -> Expr:
        return tree.Attribute(Name("self"), safe_name(key, self._dialect.target))

    def _element(self, step: merged.Step, found: Expr) -> Expr:
        """The layer in what a loop goes through: inner turns that are written out have numbers."""
        if not self._dialect.nested_lists:
            return found
        loops = [place for place, turn in enumerate(step.turns) if turn.index is None]
        for turn in step.turns[max(loops, default=-1) + 1 :]:
            assert turn.index is not None
            found = found[turn.index]
        return found

    @cached_property
    def _places(self) -> Mapping[str, Places]:
        """Where the layers of each label lie that are made in fixed turns."""
        every: dict[str, list[tuple[int, ...]]] = {}
        for step in steps_of(self._plan.items):
            for key in keys_of(step):
                every.setdefault(key, []).append(turn_numbers(step))
        return {key: Places(numbers) for key, numbers in every.items()}

    @cached_property
    def _keyed(self) -> set[str]:
        """Layers that only some turns of a loop make."""
        return {key for loop in loops_of(self._plan.items) for key in keyed_in(loop)}

    # ---- loops ----

    @contextmanager
    def inside(self) -> Generator[None]:
        """Inside is a loop: behind it, its turns have no layers any more."""
        elements = dict(self._elements)
        try:
            yield
        finally:
            self._elements = elements

    def flattens(self, loop: merged.Loop) -> bool:
        """Where lists do not lie in lists, a loop that only runs another needs no `for`."""
        if self._dialect.nested_lists or self._is_streamed(loop):
            return False
        return self._is_flat(loop)

    def _is_flat(self, loop: merged.Loop) -> bool:
        """Whether a loop does nothing but run inner ones, whose turns are the layers of flat lists."""
        run = [loop]
        while len(run[-1].body) == 1 and isinstance(run[-1].body[0], merged.Loop):
            run.append(run[-1].body[0])
        inner = run[-1]
        uids = [each.uid for each in run]
        counted = [
            [turn.loop for turn in step.turns if turn.loop in uids]
            for step in steps_of(inner.body)
            if _keys(step)
        ]
        return (
            len(run) > 1
            and not any(loops_of(inner.body))
            and uids in counted
            and all(found in ([], uids) for found in counted)
            and not any(
                self._used_in(each) or keyed_in(each) or self._carried.of(each)
                for each in run
            )
        )

    def begin(self, loop: merged.Loop) -> None:
        """The integers that a loop counts along, and `blocks = iter(self.blocks)`: one flat list for the layers of inner loops, taken one by one."""
        self._written.statements.extend(self._carried.begin(loop))
        if self._dialect.nested_lists:
            return
        for step in steps_of(loop.body):
            if len(step.turns) < 2 or step.turns[0].loop != loop.uid:
                continue
            for key in _keys(step):
                if key not in self._streams:
                    self._streams[key] = Name(self._names.free(key))
                    begun = Name("iter")(self._attribute(key))
                    self._written.add(Assign((self._streams[key],), begun))

    def take(self, loop: merged.Loop) -> None:
        """`block = next(blocks)` at the start of a turn that has a layer of its own."""
        for step in steps_of(loop.body):
            if not step.turns or step.turns[-1].loop != loop.uid:
                continue
            for key in _keys(step):
                if key in self._streams and key not in self._elements:
                    name = Name(self._names.free(_singular(key)))
                    self._elements[key] = name
                    taken = Name("next")(self._streams[key])
                    self._written.add(Assign((name,), taken))

    def end_turn(self, loop: merged.Loop) -> None:
        """The integers that a loop counts along."""
        self._written.statements.extend(self._carried.turn(loop))

    def opened(self, loop: merged.Loop) -> tuple[Expr, Expr]:
        """The target and the iterable of a loop; its body then knows the layers of a turn."""
        chosen = loop_variables(loop.pattern, loop.variables, self._names)
        for unique, name in chosen.items():
            self._scope.known[unique] = Name(name)
        elements = self._lists_of(loop)
        used = self._used_in(loop)
        keyed = bool(keyed_in(loop))
        if not used and elements and not keyed:
            return self._over_elements(elements)
        count = count_variable(loop)
        if elements and used <= {count}:
            return self._over_numbered(loop, count, elements)
        iterable = self._scope.spelled(loop.iterable)
        target, iterable, number = counted_loop(
            loop,
            self._scope.known,
            iterable,
            self._names,
            (used, bool(elements) or keyed),
        )
        self._counts[loop.uid] = number
        for key, attribute in elements:
            self._elements[key] = attribute[number]
        return target, iterable

    def _lists_of(self, loop: merged.Loop) -> list[tuple[str, Expr]]:
        """The lists of layers that a loop goes through, each with where it is found."""
        found: dict[str, Expr] = {}
        keyed = keyed_in(loop)
        for step in steps_of(loop.body):
            turns = [turn.loop for turn in step.turns]
            if loop.uid not in turns:
                continue
            for key in _keys(step):
                if key in keyed or key in self._streams:
                    continue
                level = turns.index(loop.uid)
                if level == 0 or (
                    key not in self._elements and not self._dialect.nested_lists
                ):
                    place = self._attribute(key)
                else:
                    place = self._elements[key]
                found.setdefault(key, place)
        return list(found.items())

    def _used_in(self, loop: merged.Loop) -> set[str]:
        """The variables of a loop that its forward pass reads."""
        used: set[str] = set()
        for step in steps_of(loop.body):
            for result in step.results:
                used |= set(names_in(result))
        for branch in branches_of(loop.body):
            does = does_anything([branch]) or any(checked_sizes([branch]))
            if branch.mark is None and does:
                used |= set(names_in(branch.condition))
        for check in checked_sizes(loop.body):
            used |= set(names_in(check.condition))
        for inner in loops_of(loop.body):
            if self._goes_through_constants(inner) or self._is_streamed(inner):
                used |= set(names_in(inner.iterable))
        used |= self._carried.variables_read(loop)
        return used & set(loop.variables)

    def _goes_through_constants(self, loop: merged.Loop) -> bool:
        """Whether a loop goes through what it does in the spec, and not through lists of layers."""
        keyed = keyed_in(loop)
        listed = any(
            key not in keyed
            for step in steps_of(loop.body)
            if loop.uid in [turn.loop for turn in step.turns]
            for key in _keys(step)
        )
        return not listed or not self._used_in(loop) <= {count_variable(loop)}

    def _is_streamed(self, loop: merged.Loop) -> bool:
        """Whether a loop takes its layers one by one, and so must count its turns itself."""
        return any(
            key in self._streams for step in steps_of(loop.body) for key in _keys(step)
        )

    def _over_elements(self, elements: list[tuple[str, Expr]]) -> tuple[Expr, Expr]:
        """`for block in self.blocks`, or several lists side by side."""
        names: list[Expr] = []
        for key, _ in elements:
            is_list = self._dialect.nested_lists and not self._has_leaves(key)
            name = Name(self._names.free("stage" if is_list else _singular(key)))
            names.append(name)
            self._elements[key] = name
        if len(elements) == 1:
            return names[0], elements[0][1]
        zipped = Name("zip")(*(place for _, place in elements), strict=True)
        return tree.Display("tuple", tuple(names)), zipped

    def _over_numbered(
        self, loop: merged.Loop, count: str | None, elements: list[tuple[str, Expr]]
    ) -> tuple[Expr, Expr]:
        """`for i, stage in enumerate(self.stages)`, where only the number of the turn is read."""
        known = self._scope.known.get(count) if count is not None else None
        number = known or Name(self._names.free("i"))
        self._counts[loop.uid] = number
        target, iterable = self._over_elements(elements)
        return tree.Display("tuple", (number, target)), Name("enumerate")(iterable)

    def _has_leaves(self, key: str) -> bool:
        """Whether the list of a label has one level."""
        return self._levels[key] <= (2 if key in self._elements else 1)

    @cached_property
    def _levels(self) -> Mapping[str, int]:
        """The fewest lists that the layers of each label lie in."""
        found: dict[str, int] = {}
        for step in steps_of(self._plan.items):
            for key in _keys(step):
                found[key] = min(found.get(key, len(step.turns)), len(step.turns))
        return found


def _keys(step: merged.Step) -> list[str]:
    """The keys of the layers of a step: its label with their suffixes."""
    suffixes = {construct.suffix for construct in step.constructs}
    for result in step.results:
        suffixes |= {p.suffix for p in tree.walk(result) if isinstance(p, tree.Module)}
    return [step.label + suffix for suffix in sorted(suffixes)]


def _integers(plan: ClassPlan) -> set[str]:
    """The integers that loops carry and that a forward pass reads."""
    return {
        name
        for name in names_read(plan.items)
        if name in plan.running and plan.running[name].axis is None
    }


def _singular(key: str) -> str:
    return (
        key[:-1]
        if key.endswith("s") and len(key) > 3 and not key.endswith("ss")
        else f"{key}_layer"
    )
