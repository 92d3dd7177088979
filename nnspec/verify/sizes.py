"""Which values of the symbols a proof is tried on: unlike, even and odd, within what the spec assumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.ir.dims import Dim, DimError, product
from nnspec.ir.graph import Program
from nnspec.ops.normalization import BatchNorm

Sizes = dict[str, int]

MOST_RAISES = 400
LARGEST = 1 << 14
MOST_ELEMENTS = 1 << 33
FEWEST_NORMALISED = 4
"""How many values of a channel a batch norm sees at least. Of two it makes their sign, nearly: a step,
at which a network that is deep enough makes large differences of small ones. PyTorch's gradients of
EfficientNet-B0, with weights changed in the last bit, differ by 3e-6 at two values and by 2e-10 at four.
"""


def choices(program: Program, fixed: Mapping[str, int], count: int = 2) -> list[Sizes]:
    """Values for every symbol: the first choice even where it can be, the next odd, and so on.

    No two symbols have one value, and no symbol is 1 unless it must be. Raises `SpecErrors` where no
    small values meet the requirements.
    """
    if all(name in fixed for name in program.symbols):
        whole = {name: fixed[name] for name in program.symbols}
        _check_runs(program, whole)
        return [whole]
    found: list[Sizes] = []
    for place in range(count):
        chosen = _choice(program, fixed, place)
        _check_runs(program, chosen)
        if chosen not in found:
            found.append(chosen)
    return found


def _check_runs(program: Program, sizes: Mapping[str, int]) -> None:
    """Raises `SpecErrors` for sizes at which no machine would hold a value of the model."""
    for kind in program.main.types.values():
        count = product(kind.shape).at(sizes)
        if int(count) > MOST_ELEMENTS:
            error = SpecError(
                "E0502",
                f"a tensor {kind} of this model has {int(count):,} elements, too many to run",
                hint="verify it at smaller sizes, such as `B=2`",
            )
            raise SpecErrors([error.diagnostic])


def _choice(program: Program, fixed: Mapping[str, int], place: int) -> Sizes:
    chosen: Sizes = {}
    streams: dict[str, Iterator[int]] = {}
    for name in program.symbols:
        if name in fixed:
            chosen[name] = fixed[name]
            continue
        streams[name] = _candidates(program, name, place)
        chosen[name] = _next(streams[name], set(chosen.values()), name)
    for _ in range(MOST_RAISES):
        short = _too_small(program, chosen)
        if short is None:
            return _with_statistics(program, chosen, streams)
        free = [name for name in sorted(short.symbols()) if name in streams]
        if not free:
            break
        lowest = min(free, key=lambda name: chosen[name])
        others = {value for name, value in chosen.items() if name != lowest}
        chosen[lowest] = _next(streams[lowest], others, lowest)
    raise _impossible(", ".join(program.symbols))


def _with_statistics(
    program: Program, chosen: Sizes, streams: Mapping[str, Iterator[int]]
) -> Sizes:
    """Sizes at which batch norms see enough values in training, as far as symbols are free for it."""
    for count in _normalised(program):
        free = [name for name in sorted(count.symbols()) if name in streams]
        while free and int(count.at(chosen)) < FEWEST_NORMALISED:
            lowest = min(free, key=lambda name: chosen[name])
            others = {value for name, value in chosen.items() if name != lowest}
            value = _next(streams[lowest], others, lowest, chosen[lowest])
            grown = {**chosen, lowest: value}
            if value == chosen[lowest] or _too_small(program, grown) is not None:
                break
            chosen = grown
    return chosen


def _normalised(program: Program) -> Iterator[Dim]:
    """How many values of a channel each batch norm sees that is not frozen."""
    waiting, seen = [program.main], {program.entry}
    while waiting:
        function = waiting.pop()
        for node in () if function.marks.frozen else function.nodes:
            if node.marks.frozen:
                continue  # it keeps the statistics that it has
            if node.callee is not None and node.callee not in seen:
                seen.add(node.callee)
                waiting.append(program.functions[node.callee])
            if isinstance(node.op, BatchNorm):
                batch, _, *space = function.node_types(node)[0].shape
                yield product([batch, *space])


def _next(
    stream: Iterator[int], taken: set[int], name: str, value: int | None = None
) -> int:
    """The next value that no other symbol has; the last one where there are too few, or `value`."""
    for candidate in stream:
        value = candidate
        if candidate not in taken:
            return candidate
    if value is None:
        raise _impossible(name)
    return value


def _candidates(program: Program, name: str, place: int) -> Iterator[int]:
    """Multiples within the bounds: first those of the wanted parity, growing; then any."""
    low, high = program.assumptions.bounds.get(name, (1, None))
    factor = program.assumptions.multiples.get(name, 1)
    top = min(high if high is not None else LARGEST, LARGEST * factor)
    first = -(-max(low, 1) // factor)
    last = top // factor
    wanted = 2 + place
    turns = [
        n for n in range(max(first, 2), last + 1) if n % 2 == wanted % 2 and n >= wanted
    ]
    yield from (turn * factor for turn in turns)
    if not turns:
        yield from (turn * factor for turn in range(max(first, 1), last + 1))


def _too_small(program: Program, chosen: Sizes) -> Dim | None:
    """A size that would be less than 1."""
    for _, size in program.requirements:
        try:
            value = size.at(chosen)
        except DimError:
            return size
        if value.is_constant and int(value) < 1:
            return size
    return None


def lowest(program: Program, chosen: Sizes, name: str) -> int:
    """The least value of a symbol, all others being as chosen, that meets the requirements."""
    low, _ = program.assumptions.bounds.get(name, (1, None))
    factor = program.assumptions.multiples.get(name, 1)
    value = chosen[name]
    while (
        value - factor >= max(low, 1)
        and _too_small(program, {**chosen, name: value - factor}) is None
    ):
        value -= factor
    return value


def told(sizes: Mapping[str, int]) -> str:
    """Values as a person writes them: `B=2 T=6`."""
    return (
        " ".join(f"{name}={value}" for name, value in sizes.items()) or "no free sizes"
    )


def _impossible(names: str) -> SpecErrors:
    message = f"no small values of {names} meet the requirements of the model"
    hint = "give values that do, as in `H=64`"
    return SpecErrors([SpecError("E0807", message, hint=hint).diagnostic])
