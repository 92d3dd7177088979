"""What no result of a body hangs on is not computed: its layers are made, and nothing of it is written for the forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import nnspec.targets.merged as merged
from nnspec.targets.contents import branches_of, loops_of, steps_of, walk

_Source: TypeAlias = merged.Step | merged.Join | merged.Carried


def leave_out(items: Sequence[merged.Item]) -> None:
    """Takes out what no result of the body hangs on, with all that it reads."""
    needed = _needed(items)
    for step in steps_of(items):
        if needed.isdisjoint(step.outputs):
            _unread(step)
            step.inputs, step.results, step.drafts = (), (), ()
    for branch in branches_of(items):
        for join in list(branch.joins):
            if join.value not in needed:
                _unread(join)
                branch.joins.remove(join)
    for loop in loops_of(items):
        for name, carried in list(loop.carried.items()):
            if needed.isdisjoint((carried.entry, carried.exit)):
                _unread(carried)
                del loop.carried[name]


def _needed(items: Sequence[merged.Item]) -> set[merged.Value]:
    """The values that results are computed from."""
    sources = _sources(items)
    waiting = [
        value
        for item in walk(items)
        if isinstance(item, merged.Result)
        for value in item.values
    ]
    found: set[merged.Value] = set()
    while waiting:
        value = waiting.pop()
        if value not in found:
            found.add(value)
            source = sources.get(value)
            waiting.extend([] if source is None else _read_by(source))
    return found


def _sources(items: Sequence[merged.Item]) -> Mapping[merged.Value, _Source]:
    """Where each value that the body makes comes from."""
    found: dict[merged.Value, _Source] = {}
    for step in steps_of(items):
        found.update(dict.fromkeys(step.outputs, step))
    for branch in branches_of(items):
        found.update((join.value, join) for join in branch.joins)
    for loop in loops_of(items):
        for carried in loop.carried.values():
            found.update(dict.fromkeys((carried.entry, carried.exit), carried))
    return found


def _read_by(source: _Source) -> Iterator[merged.Value]:
    match source:
        case merged.Step(inputs=values):
            yield from values
        case merged.Join(then=one, otherwise=other):
            yield from (value for value in (one, other) if value is not None)
        case merged.Carried(initial=initial, final=final):
            yield initial
            if final is not None:
                yield final


def _unread(source: _Source) -> None:
    for value in _read_by(source):
        value.uses -= 1
