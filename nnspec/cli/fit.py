"""`nnspec fit`: the largest batch, sequence or width that fits a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.settings import setting_of, setting_options

if TYPE_CHECKING:
    from nnspec.analysis.figures import Figure
    from nnspec.explore.fit import Fit

TRAINING, INFERENCE = "train_peak", "inference_peak"


@click.command()
@spec_arguments
@click.option("--device", metavar="NAME", help="Whose memory it has to fit.")
@click.option("--memory", metavar="BYTES", help="The memory itself, as in 24GiB.")
@click.option(
    "--vary",
    metavar="NAME",
    default="B",
    show_default=True,
    help="The size or constant to solve for.",
)
@click.option("--inference", is_flag=True, help="To run it; otherwise to train it.")
@click.option("--on", "name", metavar="FIGURE", help="Another figure than the peak.")
@setting_options
@json_option
def fit(
    spec: SpecArgument,
    settings: dict[str, str],
    device: str | None,
    memory: str | None,
    vary: str,
    inference: bool,
    name: str | None,
    as_json: bool,
    **assumed: str | None,
) -> int:
    """Find the largest batch, sequence or width with which a model fits.

    The answer is exact for the figure: at the answer it keeps within the memory, at
    the next value that the model allows it does not.

    \b
    Examples:
      nnspec fit resnet.nns:ResNet50 --device h100
      nnspec fit gpt2.nns:GPT2XL T=1024 --device a100 --policy mixed_bf16
      nnspec fit gpt2.nns:GPT2 B=8 T=1024 --vary width --memory 24GiB
    """
    from nnspec.analysis.figures import figure_named
    from nnspec.cli.render import write, write_json
    from nnspec.explore.fit import Question
    from nnspec.explore.fit import fit as solved

    if inference and name is not None:
        raise click.UsageError("--inference asks for its peak: leave out --on")
    with spec_errors_reported(as_json):
        limit = _limit(device, memory)
        figure = figure_named(name or (INFERENCE if inference else TRAINING))
        _require_bytes(figure)
        question = Question(
            spec.path,
            spec.name,
            vary,
            figure.name,
            limit,
            setting_of(assumed),
            settings,
        )
        found = solved(question)
    if as_json:
        write_json(_object(found, vary, figure, limit))
    else:
        write(_text(found, vary, figure, limit, device))
    return 1 if found.value is None else 0


def _require_bytes(figure: Figure) -> None:
    from nnspec.analysis.figures import FIGURES
    from nnspec.diagnostics import SpecError

    if figure.unit != "byte":
        known = ", ".join(name for name, each in FIGURES.items() if each.unit == "byte")
        raise SpecError(
            "E0922",
            f"`{figure.name}` is no number of bytes, and a memory is",
            hint=f"ask for one of {known}; `nnspec sweep` tabulates any figure",
        )


def _limit(device: str | None, memory: str | None) -> Fraction:
    from nnspec.analysis.quantities import BYTES, QuantityError, read_quantity
    from nnspec.analysis.timing.device import load_device
    from nnspec.diagnostics import SpecError

    if (device is None) == (memory is None):
        raise click.UsageError("give either --device or --memory")
    if device is not None:
        return load_device(device).memory.value
    assert memory is not None
    try:
        return read_quantity(memory, BYTES)
    except QuantityError as error:
        raise SpecError("E0923", error.message, hint=error.hint) from None


def _text(
    found: Fit, vary: str, figure: Figure, limit: Fraction, device: str | None
) -> str:
    from nnspec.cli.shown.amounts import formula
    from nnspec.cli.shown.wrapping import line_width, wrapped

    shown = _apart([found.figure, found.next_figure, limit], figure)
    place = device or "the memory"
    lines: list[str] = []
    if found.formula is not None:
        title = f"{figure.title}: "
        holds = f", for {', '.join(found.holds)}" if found.holds else ""
        parts = wrapped(
            f"{formula(found.formula.value)}{holds}", line_width() - len(title)
        )
        lines += [title + parts[0], *(" " * len(title) + part for part in parts[1:])]
    if found.value is None:
        lines.append(
            f"does not fit: at {vary}={found.smallest} it takes {shown(found.next_figure)}, "
            f"and {place} has {shown(limit)}"
        )
    else:
        lines.append(
            f"{vary}={found.value:,} fits: it takes {shown(found.figure)} of {shown(limit)}"
        )
        lines.append(_beyond(found, vary, shown(found.next_figure)))
    lines.append(f"({figure.convention})")
    return "\n".join(lines) + "\n"


def _apart(
    amounts: Sequence[Fraction | None], figure: Figure
) -> Callable[[Fraction | None], str]:
    """Writes amounts with a unit, or in full where some that differ would read alike."""
    from nnspec.cli.shown.amounts import exact, quantity

    def rounded(value: Fraction | None) -> str:
        return "" if value is None else quantity(value, figure.unit)

    def in_full(value: Fraction | None) -> str:
        return "" if value is None else f"{exact(int(value))} B"

    known = {each for each in amounts if each is not None}
    return rounded if len(set(map(rounded, known))) == len(known) else in_full


def _beyond(found: Fit, vary: str, figure: str) -> str:
    if found.next_value is not None:
        return f"{vary}={found.next_value:,} would take {figure}"
    if found.stopped:
        return f"no larger {vary} was looked at"
    return f"the model allows no larger {vary}"


def _object(found: Fit, vary: str, figure: Figure, limit: Fraction) -> dict[str, Any]:
    from nnspec.analysis.quantities import nearest_number

    def plain(value: Fraction | None) -> int | float | None:
        if value is None:
            return None
        return int(value) if value.denominator == 1 else nearest_number(value)

    return {
        "vary": vary,
        "figure": figure.name,
        "limit": plain(limit),
        "value": found.value,
        "at_value": plain(found.figure),
        "next": found.next_value,
        "at_next": plain(found.next_figure),
        "formula": None if found.formula is None else str(found.formula.value),
        **({"holds_where": [*found.holds]} if found.holds else {}),
    }
