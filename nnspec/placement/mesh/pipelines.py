"""The schedules of pipelines: in which order each rank runs the parts of its stages.

Names and orders are those of `torch.distributed.pipelining`. A part is of one stage and
one micro-batch: forward (F), the whole backward pass (B), or its two halves, the
gradients of inputs (I) and those of weights (W), between which other parts may run.

GPipe: Huang et al., 2019. 1F1B: Narayanan et al., 2019. Interleaved1F1B: Narayanan et al.,
2021. InterleavedZeroBubble (ZB1P) and ZBVZeroBubble (ZB-V): Qi et al., 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from operator import ge
from typing import Literal, NamedTuple, Protocol, get_args

Schedule = Literal[
    "GPipe", "1F1B", "Interleaved1F1B", "InterleavedZeroBubble", "ZBVZeroBubble"
]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
SEVERAL = frozenset(SCHEDULES[2:])
"""Those that can run several stages on each rank."""

HALVES = frozenset(SCHEDULES[3:])
"""Those that run the two halves of the backward pass apart."""

MOST_MICROBATCHES = 4096
"""Timetables are made part by part, so a step of more micro-batches is not looked at."""

Part = Literal["F", "B", "I", "W"]


class Action(NamedTuple):
    """One part of one stage for one micro-batch."""

    part: Part
    stage: int
    microbatch: int


Order = tuple[Action, ...]


def rank_of(stage: int, ranks: int, schedule: Schedule | None) -> int:
    """The rank of a stage: round after round, or (in the form of a V) there and back."""
    if schedule == "ZBVZeroBubble":
        return stage if stage < ranks else 2 * ranks - 1 - stage
    return stage % ranks


def refusal(
    schedule: str | None, ranks: int, rounds: int, microbatches: int
) -> str | None:
    """Why a pipeline cannot be run so, or None; `rounds` are the stages of each rank."""
    if schedule is None:
        if ranks == rounds == 1:
            return None
        return f"a pipeline of {ranks * rounds} stages needs a schedule"
    if microbatches > MOST_MICROBATCHES:
        return f"a step has {MOST_MICROBATCHES:,} micro-batches at most, not {microbatches:,}"
    if ranks == 1:
        return f"{schedule} needs a pipeline, and there is one rank"
    if schedule not in SEVERAL and rounds > 1:
        return f"{schedule} runs one stage on each rank, not {rounds}"
    if schedule == "ZBVZeroBubble" and rounds != 2:
        return f"ZBVZeroBubble runs two stages on each rank, not {rounds}"
    if schedule == "Interleaved1F1B" and rounds < 2:
        return "Interleaved1F1B runs several stages on each rank, not one"
    if schedule == "1F1B" and microbatches < ranks:
        return f"1F1B needs at least {ranks} micro-batches, one for each stage"
    if schedule in SCHEDULES[2:4]:
        turns = max(1, microbatches // ranks)
        if microbatches % turns:
            return (
                f"{schedule} runs {microbatches} micro-batches in {turns} turns, "
                "which have to be equal"
            )
    return None


def refusal_of_shards(schedule: Schedule | None, sharded: str) -> str | None:
    """Why the engine cannot run a schedule with these shares over the data axis, or None."""
    if schedule in HALVES and sharded in ("gradients", "weights"):
        return (
            f"{schedule} computes gradients of weights apart from the passes in which FSDP2 gathers and "
            f"scatters, so that shards get none, or wrong ones: it does not run with {sharded} sharded"
        )
    return None


@lru_cache(maxsize=64)
def orders(
    schedule: Schedule | None, ranks: int, rounds: int, microbatches: int
) -> tuple[Order, ...]:
    """What each rank runs, in order. Only for what has no `refusal`."""
    maker = _MAKERS[schedule]
    return tuple(
        tuple(maker(rank, ranks, rounds, microbatches)) for rank in range(ranks)
    )


def flight(schedule: Schedule | None, rank: int, ranks: int, microbatches: int) -> int:
    """Of how many micro-batches a rank with one stage keeps values at once."""
    if schedule is None:
        return 1
    if schedule == "GPipe":
        return microbatches
    return min(microbatches, ranks if schedule in HALVES else ranks - rank)


class Keeps(Protocol):
    """What a stage keeps of a micro-batch until it has gone back, and between the halves of that."""

    @property
    def keeps(self) -> float: ...
    @property
    def between(self) -> float: ...


Flight = tuple[tuple[int, int, int], ...]
"""At one moment: stages, for how many micro-batches each keeps values, and how many are between halves."""


@lru_cache(maxsize=1024)
def flights(
    schedule: Schedule | None, ranks: int, rounds: int, microbatches: int
) -> tuple[tuple[Flight, ...], ...]:
    """For each rank the moments at which it can have most in use: none that another exceeds."""
    if rounds == 1 and schedule not in HALVES:
        counts = (flight(schedule, rank, ranks, microbatches) for rank in range(ranks))
        return tuple((((rank, count, 0),),) for rank, count in enumerate(counts))
    found: list[tuple[Flight, ...]] = []
    some = _as_many_in_flight(schedule, ranks, microbatches)
    for order in orders(schedule, ranks, rounds, some):
        stages = sorted({action.stage for action in order})
        moments = dict.fromkeys(_moments(order, stages))
        kept = [one for one in moments if not _is_exceeded(one, moments)]
        found.append(tuple(tuple(zip(stages, *each, strict=True)) for each in kept))
    return tuple(found)


def _as_many_in_flight(schedule: Schedule | None, ranks: int, microbatches: int) -> int:
    """A number of micro-batches for which as many are in flight: later ones come where earlier ones go.

    There and back, one more than fill all ranks is enough. Round after round, a rank has
    less than two turns more to go forward than back, so four turns have a whole one between.
    """
    if schedule == "ZBVZeroBubble":
        return min(microbatches, 2 * ranks)
    turns = max(1, microbatches // ranks)
    return microbatches // turns * min(turns, 4)


@lru_cache(maxsize=1024)
def shares(
    schedule: Schedule | None, ranks: int, rounds: int, microbatches: int
) -> tuple[float, ...]:
    """For each rank how much all its stages keep of one micro-batch at most, in a byte of room.

    A moment with n micro-batches of each stage bounds what the stages keep together by 1
    in the least n; so does any mean of two moments.
    """
    found: list[float] = []
    for its in flights(schedule, ranks, rounds, microbatches):
        counts = {tuple(flying for _, flying, _ in flight): None for flight in its}
        least = max(
            min(a * (1 - share) + b * share for a, b in zip(one, two, strict=True))
            for one, two in combinations_with_replacement(counts, 2)
            for share in (0.25, 0.5)
        )
        found.append(1 / least if least else float("inf"))
    return tuple(found)


Moment = tuple[tuple[int, ...], tuple[int, ...]]


def _moments(order: Order, stages: Sequence[int]) -> Iterator[Moment]:
    """What is in flight before anything that goes back, when it has just become more."""
    flying, between = dict.fromkeys(stages, 0), dict.fromkeys(stages, 0)
    grew = False
    for part, stage, _ in order:
        grows = part in "FI"
        if grew and not grows:
            yield tuple(flying.values()), tuple(between.values())
        grew = grows
        if part in "FBW":
            flying[stage] += 1 if part == "F" else -1
        if part in "IW":
            between[stage] += 1 if part == "I" else -1
    if grew:
        yield tuple(flying.values()), tuple(between.values())


def _is_exceeded(one: Moment, others: Iterable[Moment]) -> bool:
    """Whether another moment has as much of everything, and is not the same."""
    flat = (*one[0], *one[1])
    for other in others:
        if other != one and all(map(ge, (*other[0], *other[1]), flat)):
            return True
    return False


def change(part: Part, stage: Keeps) -> float:
    """What is kept more once a part has begun (F), or is done with (all others)."""
    if part == "F":
        return stage.keeps
    if part == "I":
        return stage.between
    return -stage.keeps - (stage.between if part == "W" else 0.0)


# ---- one stage on each rank --------------------------------------------------------------


def _gpipe(rank: int, ranks: int, rounds: int, microbatches: int) -> Iterator[Action]:
    yield from (Action("F", rank, each) for each in range(microbatches))
    yield from (Action("B", rank, each) for each in range(microbatches))


def _one_by_one(
    rank: int, ranks: int, rounds: int, microbatches: int
) -> Iterator[Action]:
    ahead = min(microbatches, ranks - rank)
    yield from (Action("F", rank, each) for each in range(ahead))
    for each in range(microbatches):
        yield Action("B", rank, each)
        if ahead + each < microbatches:
            yield Action("F", rank, ahead + each)


# ---- several stages on each rank, round after round --------------------------------------


class _Turns:
    """Which stage of a rank and which micro-batch is the n-th to go forward, and back."""

    def __init__(self, rank: int, ranks: int, rounds: int, microbatches: int) -> None:
        self.rank, self.ranks, self.rounds = rank, ranks, rounds
        self.size = microbatches // max(1, microbatches // ranks)
        self.count = rounds * microbatches

    def ahead(self, hop: int) -> int:
        """How many parts go forward before the first goes back; `hop` more by rank."""
        found = (self.rounds - 1) * self.size + hop * (self.ranks - 1 - self.rank)
        return min(found, self.count)

    def forward(self, number: int) -> Action:
        """The n-th part to go forward."""
        return self._action("F", number, (number // self.size) % self.rounds)

    def back(self, part: Part, number: int) -> Action:
        """The n-th part to go back, as a whole or one of its halves."""
        turn = (number // self.size) % self.rounds
        return self._action(part, number, self.rounds - 1 - turn)

    def _action(self, part: Part, number: int, turn: int) -> Action:
        group, place = divmod(number, self.size * self.rounds)
        microbatch = group * self.size + place % self.size
        return Action(part, turn * self.ranks + self.rank, microbatch)


def _interleaved(
    rank: int, ranks: int, rounds: int, microbatches: int
) -> Iterator[Action]:
    turns = _Turns(rank, ranks, rounds, microbatches)
    return _alternating(turns, turns.ahead(2), lambda n: (turns.back("B", n),))


def _interleaved_halves(
    rank: int, ranks: int, rounds: int, microbatches: int
) -> Iterator[Action]:
    """The gradients of weights follow those of inputs by as many parts as the rank's number."""
    turns = _Turns(rank, ranks, rounds, microbatches)

    def back(number: int) -> Iterator[Action]:
        yield turns.back("I", number)
        if number >= rank:
            yield turns.back("W", number - rank)

    yield from _alternating(turns, turns.ahead(1), back)
    left = max(0, turns.count - rank)
    yield from (turns.back("W", number) for number in range(left, turns.count))


def _alternating(
    turns: _Turns, ahead: int, back: Callable[[int], Iterable[Action]]
) -> Iterator[Action]:
    """Some parts forward, then one forward and what goes `back` in turn, as long as there are."""
    yield from (turns.forward(number) for number in range(ahead))
    for number in range(turns.count):
        if ahead + number < turns.count:
            yield turns.forward(ahead + number)
        yield from back(number)


# ---- two stages on each rank, there and back ---------------------------------------------


def _there_and_back(
    rank: int, ranks: int, rounds: int, microbatches: int
) -> Iterator[Action]:
    """As for at least 2 * ranks - 1 micro-batches, those that are not there left out."""
    wanted = max(2 * ranks - 1, microbatches)
    for action in _Vee(rank, ranks, wanted).run():
        if action.microbatch < microbatches:
            yield action


class _Vee:
    """The two stages of a rank, on the way there (0) and back (1), and how far each part is."""

    def __init__(self, rank: int, ranks: int, microbatches: int) -> None:
        self.rank, self.ranks, self.microbatches = rank, ranks, microbatches
        self.stages = (rank, 2 * ranks - 1 - rank)
        self.done: dict[tuple[Part, int], int] = {}

    def count(self, part: Part, way: int) -> int:
        """How many micro-batches a part is through with."""
        return self.done.get((part, way), 0)

    def next(self, part: Part, way: int) -> Action:
        """The next micro-batch of a part."""
        number = self.count(part, way)
        self.done[part, way] = number + 1
        return Action(part, self.stages[way], number)

    def back(self, way: int) -> Iterator[Action]:
        """Both halves of the next backward pass."""
        yield self.next("I", way)
        yield self.next("W", way)

    def run(self) -> Iterator[Action]:
        """All parts."""
        yield from self._filling()
        yield from self._steady()
        yield from self._emptying()

    def _filling(self) -> Iterator[Action]:
        for _ in range(2 * (self.ranks - self.rank) - 1):
            yield self.next("F", 0)
        for _ in range(self.rank):
            yield self.next("F", 1)
            yield self.next("F", 0)
        for _ in range(self.ranks - self.rank):
            yield self.next("F", 1)
            yield from self.back(1)

    def _steady(self) -> Iterator[Action]:
        while self.count("F", 1) < max(self.count("F", 0), self.microbatches):
            if self.count("F", 0) < self.microbatches:
                yield self.next("F", 0)
            yield from self.back(0)
            yield self.next("F", 1)
            yield from self.back(1)

    def _emptying(self) -> Iterator[Action]:
        for _ in range(self.rank):
            yield self.next("I", 0)
            yield self.next("I", 1)
        for _ in range(self.ranks - self.rank):
            yield self.next("I", 0)
            yield self.next("W", 0)
        for way in (1, 0):
            for _ in range(self.count("I", way) - self.count("W", way)):
                yield self.next("W", way)


def _single(rank: int, ranks: int, rounds: int, microbatches: int) -> Iterator[Action]:
    for each in range(microbatches):
        yield Action("F", 0, each)
        yield Action("B", 0, each)


_MAKERS: Mapping[str | None, Callable[[int, int, int, int], Iterator[Action]]] = {
    None: _single,
    "GPipe": _gpipe,
    "1F1B": _one_by_one,
    "Interleaved1F1B": _interleaved,
    "InterleavedZeroBubble": _interleaved_halves,
    "ZBVZeroBubble": _there_and_back,
}
