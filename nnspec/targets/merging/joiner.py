"""Which value of the body a place reads, and where values of several branches meet in a variable."""

from __future__ import annotations

from typing import TypeAlias

import nnspec.targets.merged as merged
from nnspec.records import dataclass
from nnspec.targets.merging.candidates import (
    common_type,
)
from nnspec.targets.merging.traces import (
    Arm,
    Track,
    Unlike,
)

# A branch, and what a name means in each trace behind it.
_Ways: TypeAlias = tuple[merged.Branch, tuple[tuple[Track, merged.Value], ...]]


@dataclass(frozen=True)
class _Joined:
    """A variable that joins what a name means in some traces, behind a branch."""

    branch: merged.Branch
    join: merged.Join
    sources: tuple[tuple[Track, merged.Value], ...]

    def serves(self, name: str, wanted: list[tuple[Track, merged.Value]]) -> bool:
        """Whether a name means in these traces what the variable holds in them."""
        return self.join.name == name and all(
            any(track is own and value is meant for own, meant in self.sources)
            for track, value in wanted
        )


class Joiner:
    """Finds the value that a place of the body reads, whichever way each trace went before."""

    def __init__(self) -> None:
        # The branch behind which a name came to mean one value or another.
        self.joining: dict[str, merged.Branch] = {}
        self.arms: dict[merged.Branch, list[Arm]] = {}
        # What the class is not made for, until it is told.
        self._guards: list[merged.Guard] = []
        self._used: list[merged.Value] = []
        self._joined: list[_Joined] = []

    def use(self, value: merged.Value) -> merged.Value:
        """Counts a place that reads a value."""
        value.uses += 1
        self._used.append(value)
        return value

    def reference(self, current: list[tuple[Track, int]]) -> merged.Value:
        """What one place reads: one value in every trace, if need be one that a variable joins."""
        options = [track.same(number) for track, number in current]
        for value in options[0]:
            if all(any(value is other for other in row) for row in options[1:]):
                return self._whoever_comes(current, value)
        for name in self._names(current, options):
            branch = self.joining.get(name)
            if branch is None:
                continue
            found = self.join(
                name, [(track, track.names[name]) for track, _ in current], branch
            )
            for track, number in current:
                track.learn(number, found)
            return found
        raise Unlike

    def _whoever_comes(
        self, current: list[tuple[Track, int]], value: merged.Value
    ) -> merged.Value:
        """What a place reads that traces of only one way of a branch have come to.

        Other constants may lead there by the other way, and a name means something else then: what is read
        is what a variable joins. Where another name means the value whichever way was taken, the spec may have
        read that one; the class is not made for such constants, and says so.
        """

        def means(name: str) -> bool:
            return all(track.names.get(name) is value for track, _ in current)

        # Other names than those that came to mean something behind a branch have no ways.
        if not any(
            self._ways(name, current, value) for name in self.joining if means(name)
        ):
            return value
        names = [name for name in sorted(current[0][0].names) if means(name)]
        ways = {name: self._ways(name, current, value) for name in names}
        first = ways[names[0]]
        if first is None or any(found != first for found in ways.values()):
            for found in ways.values():
                self._refuse(found, current, value)
            return value
        branch, sources = first
        joined = self.join(names[0], list(sources), branch)
        for track, number in current:
            track.learn(number, joined)
        return joined

    def _ways(
        self, name: str, current: list[tuple[Track, int]], value: merged.Value
    ) -> _Ways | None:
        """What a name means in every trace behind a branch, if it is something else on a way not taken here."""
        came = {own for track, _ in current for own in (track, *track.lineage)}
        branch = self.joining.get(name)
        while branch is not None:
            arms = self.arms[branch]
            found = tuple(
                (track, known[name])
                for arm in arms
                for track, known in arm.names.items()
                if name in known
            )
            ours = [meant for track, meant in found if track in came]
            if not ours or any(meant is not value for meant in ours):
                return None  # it was bound anew since, or in the loop that holds the branch
            if any(meant is not value for _, meant in found):
                return branch, found
            before = {arm.joining.get(name) for arm in arms if came & arm.names.keys()}
            branch = before.pop() if len(before) == 1 else None
        return None

    def _refuse(
        self, ways: _Ways | None, current: list[tuple[Track, int]], value: merged.Value
    ) -> None:
        """Notes that the class is not made for what leads here by the other way."""
        if ways is None:
            return
        branch, sources = ways
        arm = next(arm for arm in self.arms[branch] if arm.has(current[0][0]))
        if any(meant is not value for track, meant in sources if arm.has(track)):
            raise Unlike  # that way forks again
        self._guards.append(merged.Guard(branch.condition, arm.taken))

    def guards(self) -> list[merged.Guard]:
        """What the class is not made for by what the last item reads."""
        found, self._guards = self._guards, []
        return found

    def _names(
        self, current: list[tuple[Track, int]], options: list[tuple[merged.Value, ...]]
    ) -> list[str]:
        """The names of the spec that mean what is read, in every trace."""
        names = set(current[0][0].names)
        for track, _ in current[1:]:
            names &= set(track.names)
        return [
            name
            for name in sorted(names)
            if all(
                any(track.names[name] is value for value in row)
                for (track, _), row in zip(current, options, strict=True)
            )
        ]

    def join(
        self,
        name: str,
        current: list[tuple[Track, merged.Value]],
        branch: merged.Branch | None,
    ) -> merged.Value:
        """The value that a variable holds behind a branch, whichever way each trace went."""
        first = current[0][1]
        if all(value is first for _, value in current):
            return first
        if branch is None or any(value.order != first.order for _, value in current):
            raise Unlike
        if any(value.type.rank != first.type.rank for _, value in current):
            raise Unlike
        for known in self._joined:
            if known.branch is branch and known.serves(name, current):
                return known.join.value
        join = merged.Join(
            name,
            merged.Value(common_type([v.type for _, v in current]), first.order, name),
        )
        left = list(current)
        for arm in self.arms[branch]:
            own = [(track, value) for track, value in left if arm.has(track)]
            left = [(track, value) for track, value in left if not arm.has(track)]
            if not own:
                continue
            source = self.use(self.join(name, own, arm.joining.get(name)))
            if arm.taken:
                join.then = source
            else:
                join.otherwise = source
        if left:
            raise Unlike
        branch.joins.append(join)
        self._joined.append(_Joined(branch, join, tuple(current)))
        return join.value

    def noted(self) -> tuple[int, int]:
        """How much has been noted so far, for `forget`."""
        return len(self._used), len(self._joined)

    def forget(self, used: int, joined: int) -> None:
        """Takes back what an attempt has noted."""
        for value in self._used[used:]:
            value.uses -= 1
        for known in self._joined[joined:]:
            known.branch.joins.remove(known.join)
        del self._used[used:], self._joined[joined:]
        self._guards.clear()
