"""Whether the names and paths of a function can be said in code, and fit what they name.

`nnspec.ir.verify` asks; every fault is said in words, with the node that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from nnspec.ir.graph import (
    Binding,
    Function,
    Item,
    Loop,
    Node,
    Path,
    Program,
    Requirement,
    Result,
    dotted,
    spread,
    walk,
)
from nnspec.ir.terms import Term
from nnspec.ops.checked import fields_of

Fault: TypeAlias = "tuple[str, Node | None]"

_KINDS = frozenset({"int", "float", "bool", "str", "fn", "block", "dtype", "list"})


def name_faults(program: Program, function: Function) -> Iterator[Fault]:
    """What is wrong with the names of a function whose values and calls have been checked."""
    for message in _of_function(function):
        yield message, None
    depths: dict[str | int, int] = {}
    for node in function.nodes:
        for message in _of_node(program, node):
            yield message, node
        if node.owns and depths.setdefault(node.path[0], len(node.path)) != len(
            node.path
        ):
            yield f"`{node.path[0]}` names a layer and a list of layers", node
    for message in _of_items(program, function):
        yield message, None


def is_name(text: object) -> bool:
    """Whether a text is a name of the language: ASCII letters, digits and `_`, no digit first."""
    return isinstance(text, str) and text.isascii() and text.isidentifier()


# ---- a function ---------------------------------------------------------------------------------------


def _of_function(function: Function) -> Iterator[str]:
    if not is_name(function.name):
        yield f"`{function.name}` is no name of a block"
    seen: set[str] = set()
    for what, name in _declared(function):
        if not is_name(name):
            yield f"`{name}` is no name of {what}"
        if name in seen:
            yield f"the name `{name}` is given twice"
        seen.add(name)
    for parameter in function.parameters:
        if parameter.kind not in _KINDS:
            yield f"`{parameter.kind}`, the kind of `{parameter.name}`, is none"
    for name, running in function.running.items():
        if running.symbol != name:
            yield f"the running size `{running.symbol}` is listed as `{name}`"


def _declared(function: Function) -> Iterator[tuple[str, str]]:
    """What stands in the head of a function, and its name. Outputs may be called as inputs are."""
    for port in function.inputs:
        yield "an input", port.name
    for parameter in function.parameters:
        yield "a parameter", parameter.name


# ---- nodes --------------------------------------------------------------------------------------------


def _of_node(program: Program, node: Node) -> Iterator[str]:
    if not _is_path(node.path):
        yield f"`{dotted(node.path)}` is no path: a label, and turns of loops"
    if node.callee is None:
        yield from _of_operator(node)
        return
    parameters = {each.name for each in program.functions[node.callee].parameters}
    for name in sorted(parameters - node.arguments.keys()):
        yield f"the argument `{name}` of `{node.callee}` is missing"
    for name in sorted(node.arguments.keys() - parameters):
        yield f"`{node.callee}` takes no argument `{name}`"
    if node.lists:
        yield f"a call takes no lists that loops grew, such as {_named(node.lists)}"
    if node.terms:
        yield f"the terms of a call stand in its arguments, not in {_named(node.terms)}"


def _is_path(path: Path) -> bool:
    return (
        len(path) > 0
        and is_name(path[0])
        and all(isinstance(part, int) and part >= 0 for part in path[1:])
    )


def _of_operator(node: Node) -> Iterator[str]:
    if node.op is None:
        return
    fields = fields_of(type(node.op))
    strange = [name for name in node.terms if name not in fields]
    if strange:
        yield f"`{node.op.op_name()}` has no field for the terms {_named(strange)}"
    if node.arguments:
        yield f"an operator takes no arguments such as {_named(node.arguments)}"
    strange = [name for name in node.lists if name not in type(node.op).listed]
    if strange:
        yield f"`{node.op.op_name()}` takes no lists {_named(strange)}"


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# ---- structure ----------------------------------------------------------------------------------------


def _of_items(program: Program, function: Function) -> Iterator[str]:
    for item in walk(function.structure):
        yield from _of_item(program, function, item)


def _of_item(program: Program, function: Function, item: Item) -> Iterator[str]:
    match item:
        case Binding(name=name) if not is_name(name):
            yield f"`{name}` is no name of a value"
        case Requirement(condition=condition, message=message, symbols=symbols):
            compares = condition.kind == "compare" and condition.arguments[0] != "in"
            if symbols and message is None and not compares:
                yield "a requirement of sizes without a message is no comparison"
            for name in symbols:
                if name not in program.symbols:
                    yield f"a requirement speaks of the unknown size `{name}`"
        case Result(values=values):
            for value in (each for argument in values for each in spread(argument)):
                if value not in function.types:
                    yield f"a result is value {value}, which is none"
        case Loop():
            yield from _of_loop(function, item)
        case _:
            pass


def _of_loop(function: Function, loop: Loop) -> Iterator[str]:
    leaves = tuple(_leaves(loop.pattern))
    for name in (*leaves, *loop.carried):
        if not is_name(name):
            yield f"`{name}` is no name in a loop"
    variables = tuple(f"{name}@{loop.uid}" for name in leaves)
    if loop.variables != variables:
        yield f"the variables of a loop are {_named(variables)}, and listed as {_named(loop.variables)}"
    for turn in loop.iterations:
        known = {*variables, *(f"at@{each.uid}" for each in turn.taken)}
        for name in turn.values:
            if _without_axis(name) not in known:
                yield f"a turn gives a value to `{name}`, which its loop does not have"
    for name, history in loop.carried.items():
        if not 1 <= len(history) <= len(loop.iterations) + 1:
            yield f"`{name}` has {len(history)} values in {len(loop.iterations)} turns"
        for value in history:
            if value not in function.types:
                yield f"`{name}` is value {value} in a loop, which is none"
    for name, history in loop.constants.items():
        if not is_name(name):
            yield f"`{name}` is no name in a loop"
        elif loop.key_of(name) not in function.running:
            yield f"the integer `{name}` of a loop is no running size"
        if not 1 <= len(history) <= len(loop.iterations) + 1:
            yield f"`{name}` has {len(history)} values in {len(loop.iterations)} turns"
    yield from _of_lists(function, loop)


def _of_lists(function: Function, loop: Loop) -> Iterator[str]:
    for name, history in loop.lists.items():
        if not is_name(name):
            yield f"`{name}` is no name in a loop"
        if history and len(history) != len(loop.iterations) + 1:
            yield f"the list `{name}` is {len(history)} lists in {len(loop.iterations)} turns"
        for term in history:
            yield from _of_term(function, term)
    if loop.elements is not None:
        yield from _of_term(function, loop.elements)
    for each in (each for turn in loop.iterations for each in turn.taken):
        yield from _of_term(function, Term("value", (each.value,)))
        yield from _of_term(function, each.elements)


def _of_term(function: Function, term: Term) -> Iterator[str]:
    if term.kind == "value" and term.arguments[0] not in function.types:
        yield f"a list holds value {term.arguments[0]}, which is none"
    for part in term.arguments:
        if isinstance(part, Term):
            yield from _of_term(function, part)


def _without_axis(name: str) -> str:
    """`skip@7` of `skip.1@7`, the name of a size."""
    value, _, uid = name.partition("@")
    return f"{value.partition('.')[0]}@{uid}"


def _leaves(pattern: Any) -> Iterator[str]:
    """The names in a pattern, in order: a name, or a tuple of patterns."""
    if isinstance(pattern, str):
        yield pattern
        return
    for item in pattern:
        yield from _leaves(item)
