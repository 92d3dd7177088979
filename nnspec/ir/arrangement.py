"""How an emitted program is arranged: what it leaves out, which loops it writes out, which branches are an `if`.

That hangs on which functions become one class and which loops stay loops, so on what can be said of their sizes
and constants: whoever writes programs is asked (`Program.planned`) if there is anything to leave out. Elsewhere the
rules of `forks` do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import field

from nnspec.ir.dims import with_twins
from nnspec.ir.forks import forks_of, saved_before, written_out
from nnspec.ir.graph import Branch, Function, Loop, Program, Step, values_of, walk
from nnspec.ir.left_out import left_out
from nnspec.ir.unread import unread_nodes
from nnspec.records import dataclass


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Items of a program's functions: steps that are not computed, loops that are written out turn by turn, branches that are an `if`.

    Before one of these, variables of some names are saved. `carried` are the names that loops hand on, where these are
    fewer than all that they rebind.
    """

    left_out: frozenset[Step]
    written_out: frozenset[Loop]
    forks: Mapping[Branch, Set[str]]
    carried: Mapping[Loop, Collection[str]] = field(
        default_factory=dict[Loop, "Collection[str]"]
    )


def arrangement(program: Program) -> Arrangement:
    """That of a program."""
    functions = program.functions.values()
    leaves = any(unread_nodes(each) or _hands_on_unread(each) for each in functions)
    asked = program.planned if leaves else None
    with with_twins():  # whoever asks may do so while counting
        found = None if asked is None else asked(program)
    return _by_rules(program) if found is None else found


def _hands_on_unread(function: Function) -> bool:
    """Whether a turn leaves in a variable one of several results that nothing reads: a loop that stays one reads it."""
    several = {
        v for node in function.nodes if len(node.outputs) > 1 for v in node.outputs
    }
    handed_on = {
        value
        for item in walk(function.structure)
        if isinstance(item, Loop)
        for history in item.carried.values()
        for value in history[1:]
        if value in several
    }
    if not handed_on:
        return False
    read = {value for node in function.nodes for value in node.values()}
    return not handed_on <= read | {*values_of(function.outputs)}


def _by_rules(program: Program) -> Arrangement:
    """As if all functions of a block became one class, and each loop stayed one that can."""
    functions = program.functions.values()
    apart = {each.key: written_out(each) for each in functions}
    unread = left_out(program)
    return Arrangement(
        frozenset(
            item
            for function in functions
            for item in walk(function.structure if unread else ())
            if isinstance(item, Step)
            and item.node in unread.get(function.key, frozenset[int]())
        ),
        frozenset[Loop]().union(*apart.values()),
        saving(
            program,
            forks_of(program, lambda function: apart[function.key]),
            unread,
        ),
    )


def saving(
    program: Program,
    forks: Iterable[Sequence[Branch]],
    left_out: Mapping[str, Set[int]],
) -> dict[Branch, Set[str]]:
    """Branches that are an `if`, those of each `if` together, with the names of variables that are saved before it."""
    groups = [*forks]
    branches = {branch for alike in groups for branch in alike}
    saved: dict[Branch, set[str]] = {}
    for function in program.functions.values() if branches else ():
        unread = left_out.get(function.key, frozenset[int]())
        saved.update(saved_before(function, branches, unread))
    found: dict[Branch, Set[str]] = {}
    for alike in groups:
        names = {name for branch in alike for name in saved[branch]}
        found.update(dict.fromkeys(alike, names))
    return found


def nodes_left_out(program: Program) -> dict[str, frozenset[int]]:
    """The nodes that are not computed, by the key of their function; layers among them have their weights all the same."""
    unread = [each for each in program.functions.values() if unread_nodes(each)]
    if not unread:
        return {}
    steps = program.arrangement.left_out
    found: dict[str, frozenset[int]] = {}
    for function in unread:
        items = walk(function.structure)
        left = (i.node for i in items if isinstance(i, Step) and i in steps)
        found[function.key] = frozenset(left)
    return found
