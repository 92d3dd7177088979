"""Which values of a program have no gradient, and which are the same for every sample.

What a value hangs on decides what devices that share a model's layers may do with it: take their share of
it, or have all of it and sum its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from nnspec.ir.graph import Function, Node, Program, spread, values_of


def constant_values(
    program: Program, inputs: Set[int] = frozenset()
) -> Mapping[str, Set[int]]:
    """The values of each function that depend on no weight, and on no input that is a float.

    Of floats, those of `inputs` count as constant as well: they have no gradient.
    """
    weightless = _weightless(program)

    def own(function: Function, ports: Set[int]) -> Set[int]:
        return _constants(function, ports, weightless)

    return _handed_down(program, inputs, own)


def _handed_down(
    program: Program,
    inputs: Set[int],
    own: Callable[[Function, Set[int]], Set[int]],
) -> Mapping[str, Set[int]]:
    """What `own` says of each function's values, given which of its inputs are like that in all of its calls."""
    given: dict[str, set[int]] = {program.entry: set(inputs)}
    found: dict[str, Set[int]] = {}
    for key in reversed(list(program.functions)):  # callers before callees
        function = program.functions[key]
        found[key] = own(function, given.get(key, set()))
        for node in function.nodes:
            if node.callee is not None:
                callee = program.functions[node.callee]
                ports = set(_ports_of(callee, node, found[key]))
                given[callee.key] = given.get(callee.key, ports) & ports
    return found


def _weightless(program: Program) -> Set[str]:
    """The functions that have no weights, by key."""
    found: set[str] = set()
    for key, function in program.functions.items():  # callees before callers
        plain = (
            node.weight is None
            and (node.op is None or not node.owns)
            and (node.callee is None or node.callee in found)
            for node in function.nodes
        )
        if all(plain):
            found.add(key)
    return found


def _constants(function: Function, ports: Set[int], weightless: Set[str]) -> Set[int]:
    found = {value for value, kind in function.types.items() if not kind.dtype.is_float}
    found |= ports
    for node in function.nodes:
        is_plain = node.weight is None and (
            node.callee in weightless if node.callee is not None else not node.owns
        )
        if is_plain and found.issuperset(node.values()):
            found.update(node.outputs)
    return found


def _ports_of(callee: Function, node: Node, own: Set[int]) -> Iterator[int]:
    for port, argument in zip(callee.inputs, node.inputs, strict=True):
        inside, outside = spread(port.values), spread(argument)
        yield from (a for a, b in zip(inside, outside, strict=True) if b in own)


# ---- values that are the same for every sample --------------------------------------------------------


def static_values(
    program: Program, inputs: Set[int] = frozenset()
) -> Mapping[str, Set[int]]:
    """The values of each function that depend on weights and constants alone, as tables of biases do.

    `inputs` are those of the model that count among them.
    """
    causes = _causes(program)

    def own(function: Function, ports: Set[int]) -> Set[int]:
        depends = causes[function.key].items()
        return {value for value, causes_of_it in depends if causes_of_it <= ports}

    return _handed_down(program, inputs, own)


_CHANCE = -1
"""What stands for random draws among the inputs that a value depends on."""


def _causes(program: Program) -> Mapping[str, Mapping[int, Set[int]]]:
    """For each value of each function the values that come in and that it depends on."""
    found: dict[str, Mapping[int, Set[int]]] = {}
    for key, function in program.functions.items():  # callees before callers
        own: dict[int, Set[int]] = {v: {v} for v in values_of(function.inputs)}
        for node in function.nodes:
            own |= _causes_of(program, node, own, found)
        found[key] = own
    return found


def _causes_of(
    program: Program,
    node: Node,
    own: Mapping[int, Set[int]],
    known: Mapping[str, Mapping[int, Set[int]]],
) -> dict[int, Set[int]]:
    if node.callee is None:
        chance = {_CHANCE} if node.op is not None and node.op.random else set[int]()
        causes = chance.union(*(own[value] for value in node.values()))
        return dict.fromkeys(node.outputs, causes)
    callee = program.functions[node.callee]
    pairs = zip(callee.inputs, node.inputs, strict=True)
    outside = {_CHANCE: {_CHANCE}}
    for port, argument in pairs:
        values = zip(spread(port.values), spread(argument), strict=True)
        outside |= {inner: set(own[outer]) for inner, outer in values}
    return {
        outer: set[int]().union(*(outside[cause] for cause in known[callee.key][inner]))
        for outer, inner in zip(node.outputs, values_of(callee.outputs), strict=True)
    }


def untouched_values(function: Function, constants: Set[int]) -> Set[int]:
    """Those of the constants that are made of constants alone, and not of the results of layers."""
    found = {value for value in values_of(function.inputs) if value in constants}
    for node in function.nodes:
        if found.issuperset(node.values()):
            found.update(constants & set(node.outputs))
    return found
