"""Which classes an emitted file has: one for each block, or several where specialisations are unlike.

The functions of all programs are taken callees first. Specialisations of one block become one class
where they can be laid together (`merge`); those that cannot become classes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import nnspec.targets.merged as merged
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import DimError
from nnspec.ir.graph import Function, Node, Path, Program, spread
from nnspec.ops.base import OpError
from nnspec.records import dataclass
from nnspec.targets.contents import lists_are_flat
from nnspec.targets.folding import same_classes
from nnspec.targets.layout import FunctionLayout, layouts
from nnspec.targets.lowering import Lowered, lower_operator
from nnspec.targets.merging.calls import lower_call
from nnspec.targets.merging.frozen import frozen_statistics
from nnspec.targets.merging.merge import Merger
from nnspec.targets.merging.returned import deciding
from nnspec.targets.merging.steps import Lower
from nnspec.targets.merging.traces import Track, Unlike
from nnspec.targets.merging.unread import leave_out
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan, finish, meanings

# A function, and the number of the program that it belongs to.
Member: TypeAlias = tuple[int, Function]


@dataclass(frozen=True)
class _Attempt:
    """Some functions that may become one class, and in which manner that is tried.

    A class that is `named` takes its name as it is. `fixed` are constants that a written-out loop depends
    on: the class has them built in. `rolls` lets loops stay loops; `plain` writes sizes and constants as
    numbers, where they need no names.
    """

    name: str
    members: list[Member]
    named: bool = False
    fixed: frozenset[str] = frozenset()
    rolls: bool = True
    plain: bool = False

    @property
    def functions(self) -> list[Function]:
        """The functions, each as a part of its program."""
        return [function for _, function in self.members]


class Planner:
    """Plans the classes of a file for one target."""

    def __init__(
        self,
        programs: Sequence[Program],
        target: str,
        plain: frozenset[str] = frozenset(),
    ) -> None:
        """`plain` are blocks of which each specialisation is written out, as it is."""
        self.plain = plain
        self.programs = programs
        self.target = target
        self.names = Names(target)
        self.plans: list[ClassPlan] = []
        # Those that say the same as another one, which stands for them.
        self.folded: list[ClassPlan] = []
        self.class_of: dict[tuple[int, str], ClassPlan] = {}
        self._layouts: list[Mapping[str, FunctionLayout]] = []
        # The paths of what is computed again, by the program and the key of the function that it is in.
        self._again: dict[tuple[int, str], set[Path]] = {}

    def plan(self) -> list[ClassPlan]:
        """The classes, callees before callers."""
        moved = self.target == "keras"
        self._layouts = [layouts(program, moved=moved) for program in self.programs]
        for name, members in self._blocks():
            known = len(self.plans)
            self._block(name, members)
            for same, plan in same_classes(self.plans[known:], self.target):
                self._replace(plan, same, [])
                self.folded.append(plan)
        return self.plans

    def _blocks(self) -> Iterator[tuple[str, list[Member]]]:
        """The specialisations of each block over all programs, callees first."""
        groups: dict[str, list[Member]] = {}
        for place, program in enumerate(self.programs):
            for function in program.functions.values():
                key = f"{function.name}@{function.location}"
                groups.setdefault(key, []).append((place, function))
        done: set[str] = set()

        def ready(members: list[Member]) -> bool:
            return all(
                f"{callee.name}@{callee.location}" in done
                for place, function in members
                for callee in self.programs[place].callees(function)
            )

        while len(done) < len(groups):
            for key, members in groups.items():
                if key not in done and ready(members):
                    done.add(key)
                    yield members[0][1].name, members

    def _block(self, name: str, members: list[Member]) -> None:
        """Plans the classes of a block: one, if it can be."""
        if name in self.plain:
            for member in members:
                self._accept(self._alone(name, member), [member])
            return
        whole = self._try(_Attempt(name, members))
        if whole is not None:
            self._accept(whole, members)
            return
        for member in members:
            if not self._join(name, member):
                self._accept(self._alone(name, member), [member])

    def _join(self, name: str, member: Member) -> bool:
        """Whether a function found a place in one of the classes that its block already has."""
        known = [p for p in self.plans if p.function.name == name and not p.is_entry]
        for plan in known:
            members = [*self._members(plan), member]
            grown = self._try(_Attempt(plan.name, members, named=True))
            if grown is not None:
                self._replace(plan, grown, [member])
                return True
        return False

    def _alone(self, name: str, member: Member) -> ClassPlan:
        """A class for one function; all of it written out, where nothing else will do."""
        attempt = _Attempt(name, [member])
        plan = None if name in self.plain else self._try(attempt)
        plan = plan or self._try(replace(attempt, rolls=False, plain=True))
        if plan is None:
            raise self._inexpressible(member[1])
        return plan

    def _members(self, plan: ClassPlan) -> list[Member]:
        return [
            (place, function)
            for function in plan.functions
            for place, program in enumerate(self.programs)
            if program.functions.get(function.key) is function
        ]

    def _accept(self, plan: ClassPlan, members: list[Member]) -> None:
        self.plans.append(plan)
        for place, function in members:
            self.class_of[place, function.key] = plan

    def _replace(self, old: ClassPlan, new: ClassPlan, members: list[Member]) -> None:
        if new in self.plans:
            self.plans.remove(old)
        else:
            self.plans[self.plans.index(old)] = new
        for key, plan in list(self.class_of.items()):
            if plan is old:
                self.class_of[key] = new
        for place, function in members:
            self.class_of[place, function.key] = new

    def _inexpressible(self, function: Function) -> SpecError:
        return SpecError(
            "E0602",
            f"`{function.name}` cannot be written for {self.target}",
            function.location,
            hint="this is a limit of nnspec: simplify the block, and report it",
        )

    def _try(self, attempt: _Attempt) -> ClassPlan | None:
        """One class for all functions of an attempt; None where they are unlike."""
        begun = self._begin(attempt.members, attempt.fixed)
        if begun is None:
            return None
        tracks, inputs = begun
        lower = self._lowering(tracks, attempt.members)
        merger = Merger(lower, rolls=attempt.rolls, plain=attempt.plain)
        try:
            items = merger.body(tracks)
        except (Unlike, DimError):  # or too long to be said
            return None
        if merger.fixed - attempt.fixed:
            return self._try(replace(attempt, fixed=attempt.fixed | merger.fixed))
        leave_out(items)
        if self._needs_nested_lists(attempt, items):
            return self._try(replace(attempt, fixed=frozenset(), rolls=False))
        functions = attempt.functions
        plan = ClassPlan(
            name=attempt.name if attempt.named else self.names.free(attempt.name),
            functions=functions,
            layout=tracks[0].layout,
            items=items,
            inputs=inputs,
            built_in=attempt.fixed,
            is_entry=any(p.main is f for p in self.programs for f in functions),
        )
        plan.deciding = merger.deciding | deciding(plan)
        return self._finished(plan, attempt.members)

    def _needs_nested_lists(self, attempt: _Attempt, items: list[merged.Item]) -> bool:
        """Whether layers would lie in lists inside of lists, which Keras does not save."""
        if self.target != "keras" or not attempt.rolls or lists_are_flat(items):
            return False
        return not self._is_function_of_inputs(attempt.functions, items)

    def _finished(self, plan: ClassPlan, members: list[Member]) -> ClassPlan | None:
        """A class with its parameters; None where the functions do not agree on them."""
        try:
            finish(plan, self.target)
        except (Unlike, DimError):
            return None
        plan.keeps_statistics = frozenset(
            label
            for place, function in members
            for label in frozen_statistics(self.programs[place], function)
        )
        return plan

    def _begin(
        self, members: list[Member], fixed: frozenset[str]
    ) -> tuple[list[Track], list[merged.Value]] | None:
        """The traces of functions, and the inputs of their class; None where these are unlike."""
        tracks: list[Track] = []
        inputs: list[merged.Value] | None = None
        for place, function in members:
            known = meanings(function)
            built_in = {key: known[key] for key in sorted(fixed) if key in known}
            layout = self._layouts[place][function.key]
            track = Track(function, layout, known, constants=built_in)
            inputs = self._enter(track, inputs)
            if inputs is None:
                return None
            tracks.append(track)
        return tracks, inputs or []

    def _lowering(self, tracks: list[Track], members: list[Member]) -> Lower:
        """What lowers the nodes of these traces, each as a part of its program."""
        places = {
            id(track.function): place
            for track, (place, _) in zip(tracks, members, strict=True)
        }

        def lower(track: Track, node: Node) -> Lowered:
            return self._lower(places[id(track.function)], track, node)

        return lower

    def _is_function_of_inputs(
        self, functions: list[Function], items: list[merged.Item]
    ) -> bool:
        """Whether a Keras model is made of layers where they are applied, and needs no lists."""
        from nnspec.targets.keras_functional import is_functional

        keys = {function.key for function in functions}
        called = any(
            node.callee in keys
            for program in self.programs
            for function in program.functions.values()
            for node in function.nodes
        )
        entry = all(any(p.main is f for p in self.programs) for f in functions)
        plan = ClassPlan("", functions, FunctionLayout(), items, [], is_entry=entry)
        try:
            finish(plan, self.target)
        except Unlike:
            return True  # it becomes no class at all
        return not called and is_functional(plan)

    def _enter(
        self, track: Track, inputs: list[merged.Value] | None
    ) -> list[merged.Value] | None:
        """Gives the inputs of a function the values of the class's inputs."""
        found: list[merged.Value] = []
        for port in track.function.inputs:
            for number in spread(port.values):
                kind = track.function.types[number]
                found.append(
                    merged.Value(
                        kind, track.layout.values[number], port.name, outside=True
                    )
                )
        if inputs is not None:
            orders = [value.order for value in inputs]
            ours = [(value.name, value.type.rank) for value in found]
            theirs = [(value.name, value.type.rank) for value in inputs]
            if ours != theirs or [value.order for value in found] != orders:
                return None
            found = inputs
        place = 0
        for port in track.function.inputs:
            for number in spread(port.values):
                track.values[number] = found[place]
                if not port.listed:
                    track.names[port.name] = found[place]
                place += 1
        return found

    # ---- nodes ----

    def _lower(self, place: int, track: Track, node: Node) -> Lowered:
        if node.callee is not None:
            program = self.programs[place]
            callee = program.functions[node.callee]
            plan = self.class_of[place, callee.key]
            plan.is_called = True
            plan.is_nested |= track.function is not program.main
            again = self._recomputes(place, track.function, node)
            plan.is_recomputed |= again
            return lower_call(track, node, callee, plan, self.target, recomputes=again)
        try:
            return lower_operator(
                track.function, node, track.input_types(node), track.layout, self.target
            )
        except OpError as error:
            assert node.op is not None
            message = f"`{node.op.op_name()}` {error.message}"
            raise SpecError(
                error.code, message, node.location, hint=error.hint
            ) from None

    def _recomputes(self, place: int, function: Function, node: Node) -> bool:
        """Whether a call is computed again; a layer of Keras is so at each of its uses, or at none."""
        program = self.programs[place]
        if self.target == "torch":
            return program.recomputes(node)
        key = place, function.key
        if key not in self._again:
            again = filter(program.recomputes, function.nodes)
            self._again[key] = {each.path for each in again}
        return node.path in self._again[key]
