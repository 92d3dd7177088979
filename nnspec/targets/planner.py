"""Which classes an emitted file has: one for each block, or several where specialisations are unlike.

The functions of all programs are taken callees first. Specialisations of one block become one class
where they can be laid together (`merge`); those that cannot become classes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import nnspec.targets.merged as merged
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Function, Node, Program
from nnspec.ir.terms import Traced
from nnspec.ops.base import OpError
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.targets.agreement import localised
from nnspec.targets.contents import (
    lists_are_flat,
)
from nnspec.targets.folding import same_classes
from nnspec.targets.layout import FunctionLayout, layouts
from nnspec.targets.lowering import Construct, LayerName, Lowered, lower_operator
from nnspec.targets.merge import Merger
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassParameter, ClassPlan, finish, meanings, size_in
from nnspec.targets.spelling import Unspellable, spell_literal
from nnspec.targets.traces import Track, Unlike


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
        self.class_of: dict[tuple[int, str], ClassPlan] = {}
        self._layouts: list[Mapping[str, FunctionLayout]] = []

    def plan(self) -> list[ClassPlan]:
        """The classes, callees before callers."""
        moved = self.target == "keras"
        self._layouts = [layouts(program, moved=moved) for program in self.programs]
        for name, members in self._blocks():
            known = len(self.plans)
            self._block(name, members)
            for same, plan in same_classes(self.plans[known:], self.target):
                self._replace(plan, same, [])
        return self.plans

    def _blocks(self) -> Iterator[tuple[str, list[tuple[int, Function]]]]:
        """The specialisations of each block over all programs, callees first."""
        groups: dict[str, list[tuple[int, Function]]] = {}
        for place, program in enumerate(self.programs):
            for function in program.functions.values():
                key = f"{function.name}@{function.location}"
                groups.setdefault(key, []).append((place, function))
        done: set[str] = set()

        def ready(members: list[tuple[int, Function]]) -> bool:
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

    def _block(self, name: str, members: list[tuple[int, Function]]) -> None:
        remaining = _one_of_each(members, self._layouts)
        whole = None
        if name not in self.plain:
            whole = self._try(name, [m for m, _ in remaining])
        if whole is not None:
            self._accept(whole, members, remaining)
            return
        for member, alike in remaining:
            for plan in [
                p
                for p in self.plans
                if p.function.name == name and not p.is_entry and name not in self.plain
            ]:
                grown = self._try(plan.name, [*self._members(plan), member], named=True)
                if grown is not None:
                    self._replace(plan, grown, [member, *alike])
                    break
            else:
                alone = None if name in self.plain else self._try(name, [member])
                alone = alone or self._try(name, [member], rolls=False, plain=True)
                if alone is None:
                    raise self._inexpressible(member[1])
                self._accept(alone, [member, *alike], [(member, alike)])

    def _members(self, plan: ClassPlan) -> list[tuple[int, Function]]:
        return [
            (place, function)
            for function in plan.functions
            for place, program in enumerate(self.programs)
            if program.functions.get(function.key) is function
        ]

    def _accept(
        self,
        plan: ClassPlan,
        members: list[tuple[int, Function]],
        remaining: list[tuple[tuple[int, Function], list[tuple[int, Function]]]],
    ) -> None:
        self.plans.append(plan)
        for place, function in members:
            self.class_of[place, function.key] = plan

    def _replace(
        self, old: ClassPlan, new: ClassPlan, members: list[tuple[int, Function]]
    ) -> None:
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

    def _try(
        self,
        name: str,
        members: list[tuple[int, Function]],
        *,
        named: bool = False,
        fixed: frozenset[str] | set[str] = frozenset(),
        rolls: bool = True,
        plain: bool = False,
    ) -> ClassPlan | None:
        """One class for all of these functions; None where they are unlike.

        `fixed` are constants that a written-out loop depends on: the class has them built in.
        """
        tracks: list[Track] = []
        inputs: list[merged.Value] | None = None
        for place, function in members:
            layout = self._layouts[place][function.key]
            known = meanings(function)
            built_in = {key: known[key] for key in sorted(fixed) if key in known}
            track = Track(function, layout, known, constants=built_in)
            given = self._enter(track, inputs)
            if given is None:
                return None
            inputs = given
            tracks.append(track)
        places = {
            id(track.function): place
            for track, (place, _) in zip(tracks, members, strict=True)
        }

        def lower(track: Track, node: Node) -> Lowered:
            return self._lower(places[id(track.function)], track, node)

        merger = Merger(lower, rolls=rolls, plain=plain)
        try:
            items = merger.body(tracks)
        except Unlike:
            return None
        if merger.fixed - fixed:
            more = fixed | merger.fixed
            return self._try(
                name, members, named=named, fixed=more, rolls=rolls, plain=plain
            )
        functions = [function for _, function in members]
        nested = self.target == "keras" and rolls and not lists_are_flat(items)
        if nested and not self._is_function_of_inputs(functions, items):
            return self._try(name, members, named=named, rolls=False)
        plan = ClassPlan(
            name=name if named else self.names.free(name),
            functions=functions,
            layout=tracks[0].layout,
            items=items,
            inputs=inputs or [],
            built_in=frozenset(fixed),
            is_entry=any(
                program.main is function
                for program in self.programs
                for function in functions
            ),
        )
        try:
            finish(plan, self.target)
        except Unlike:
            return None
        plan.keeps_statistics = self._frozen_statistics(*members[0])
        return plan

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

    def _frozen_statistics(self, place: int, function: Function) -> list[str]:
        if function.marks.frozen:
            return [""] if self._has_statistics(place, function) else []
        found: dict[str, None] = {}
        for node in function.nodes:
            if (
                node.marks.frozen
                and node.owns
                and self._node_has_statistics(place, function, node)
            ):
                found.setdefault(str(node.path[0]))
        return list(found)

    def _has_statistics(self, place: int, function: Function) -> bool:
        return any(
            self._node_has_statistics(place, function, n) for n in function.nodes
        )

    def _node_has_statistics(self, place: int, function: Function, node: Node) -> bool:
        if node.callee is not None:
            return self._has_statistics(
                place, self.programs[place].functions[node.callee]
            )
        return any(
            not weight.trainable for weight in function.node_weights(node).values()
        )

    def _enter(
        self, track: Track, inputs: list[merged.Value] | None
    ) -> list[merged.Value] | None:
        """Gives the inputs of a function the values of the class's inputs."""
        found: list[merged.Value] = []
        for port in track.function.inputs:
            numbers = port.values if isinstance(port.values, tuple) else (port.values,)
            for number in numbers:
                if number is None:
                    continue
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
            numbers = port.values if isinstance(port.values, tuple) else (port.values,)
            for number in numbers:
                if number is None:
                    continue
                track.values[number] = found[place]
                if not port.listed:
                    track.names[port.name] = found[place]
                place += 1
        return found

    # ---- nodes ----

    def _lower(self, place: int, track: Track, node: Node) -> Lowered:
        if node.callee is not None:
            return self._lower_call(place, track, node)
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

    def _lower_call(self, place: int, track: Track, node: Node) -> Lowered:
        assert node.callee is not None
        callee = self.programs[place].functions[node.callee]
        plan = self.class_of[place, callee.key]
        plan.is_called = True
        unsaid = _mentioned(track, node, plan.built_in)
        arguments: list[Expr] = []
        keywords: list[tuple[str, Expr]] = []
        for parameter in plan.parameters:
            value = self._argument(track, node, callee, parameter)
            if parameter.has_default:
                default = _default_of(parameter)
                keywords.append((parameter.name, tree.Default(value, default)))
            else:
                arguments.append(value)
        if self.target == "torch":
            arguments.append(tree.Star(Name("options"), double=True))
        else:
            keywords.append(("name", LayerName()))
        construct = Construct(
            "", tree.Call(Name(plan.name), tuple(arguments), tuple(keywords))
        )
        given = _call_arguments(node)
        if self.target == "keras" and plan.is_entry and len(given) > 1:
            given = (
                tree.Display("list", given),
            )  # a Keras model takes its inputs as one
        call = tree.Call(tree.Module(""), given)
        if self.target == "torch" and self.programs[place].recomputes(node):
            call = Name("checkpoint")(tree.Module(""), *given, use_reentrant=False)
        return Lowered((construct,), (call,), len(node.outputs), unsaid)

    def _argument(
        self, track: Track, node: Node, callee: Function, parameter: ClassParameter
    ) -> Expr:
        """What a call hands to a parameter of the callee's class."""
        if not parameter.is_size:
            return self._constant(node, parameter)
        types = [
            kind
            for given in track.input_types(node)
            for kind in (given if isinstance(given, tuple) else (given,))
            if kind is not None
        ]
        found = size_in(callee, types, parameter.symbol)
        if found is None:
            raise Unlike
        return tree.Size(found)

    def _constant(self, node: Node, parameter: ClassParameter) -> Expr:
        from nnspec.ir.values import Sequence as Listed
        from nnspec.ir.values import as_term, plain, term_of

        value = node.arguments[parameter.symbol]
        if isinstance(value, Dim):
            if value.symbols():
                raise SpecError(
                    "E0603",
                    f"`{parameter.symbol}` is given `{value}`, which is known only at run time",
                    node.location,
                    hint="blocks take constants: let it follow from the shape of an input",
                )
            return tree.Size(value)
        term = term_of(value)
        if term is None and isinstance(value, Listed):
            term = as_term(value)
        if term is not None:
            return tree.Constant(Traced(plain(value), term))
        try:
            return spell_literal(plain(value))
        except Unspellable:
            raise Unlike from None


def _mentioned(track: Track, node: Node, parameters: frozenset[str]) -> frozenset[str]:
    """The names that a call computes the values of some parameters from."""
    from nnspec.ir.values import term_of

    given = (term_of(node.arguments[name]) for name in parameters)
    terms = (localised(track, term) for term in given if term is not None)
    return frozenset(name for term in terms for name in term.mentioned())


def _default_of(parameter: ClassParameter) -> Any:
    value = parameter.default
    return int(value) if isinstance(value, Dim) and value.is_constant else value


def _one_of_each(
    members: list[tuple[int, Function]], layout: Sequence[Mapping[str, FunctionLayout]]
) -> list[tuple[tuple[int, Function], list[tuple[int, Function]]]]:
    """The members; those that are the same in all that matters could be joined here."""
    return [(member, []) for member in members]


def _call_arguments(node: Node) -> tuple[Expr, ...]:
    """The tensors of a call, lists as lists; optional ones that are missing are left out."""
    found: list[Expr] = []
    place = 0
    for argument in node.inputs:
        if argument is None:
            continue
        count = len(argument) if isinstance(argument, tuple) else 1
        given = [tree.Input(place + i) for i in range(count)]
        found.append(
            tree.Display("list", tuple(given))
            if isinstance(argument, tuple)
            else given[0]
        )
        place += count
    return tuple(found)
