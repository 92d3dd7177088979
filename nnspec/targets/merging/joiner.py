"""Which value of the body a place reads, and where values of several branches meet in a variable."""

from __future__ import annotations

import nnspec.targets.merged as merged
from nnspec.targets.merging.candidates import (
    common_type,
)
from nnspec.targets.merging.traces import (
    Arm,
    Track,
    Unlike,
)


class Joiner:
    """Finds the value that a place of the body reads, whichever way each trace went before."""

    def __init__(self) -> None:
        # The branch behind which a name came to mean one value or another.
        self.joining: dict[str, merged.Branch] = {}
        self.arms: dict[merged.Branch, list[Arm]] = {}
        self._used: list[merged.Value] = []
        self._joined: list[tuple[merged.Branch, merged.Join]] = []

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
                return value
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
        join = merged.Join(
            name,
            merged.Value(common_type([v.type for _, v in current]), first.order, name),
        )
        left = list(current)
        for arm in self.arms[branch]:
            own = [(track, value) for track, value in left if arm.has(track)]
            left = [pair for pair in left if pair not in own]
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
        self._joined.append((branch, join))
        return join.value

    def noted(self) -> tuple[int, int]:
        """How much has been noted so far, for `forget`."""
        return len(self._used), len(self._joined)

    def forget(self, used: int, joined: int) -> None:
        """Takes back what an attempt has noted."""
        for value in self._used[used:]:
            value.uses -= 1
        for branch, join in self._joined[joined:]:
            branch.joins.remove(join)
        del self._used[used:], self._joined[joined:]
