"""`nnspec verify`: both programs, built as emitted, compared number by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_models,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.settings import checkpoint_option, checkpointed

if TYPE_CHECKING:
    from nnspec.verify import VerifyReport


@click.command()
@spec_arguments
@click.option(
    "--backend",
    "backends",
    type=click.Choice(["tensorflow", "jax", "torch", "all"]),
    multiple=True,
    default=["tensorflow"],
    show_default=True,
    help="What Keras runs on; may be given more than once.",
)
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Also compile, export, build on the meta device, save and load.",
)
@checkpoint_option
@json_option
def verify(
    spec: SpecArgument,
    settings: dict[str, str],
    checkpoint: str | None,
    backends: tuple[str, ...],
    compiled: bool,
    as_json: bool,
) -> int:
    """Prove that the PyTorch and the Keras program compute the same function.

    Builds both as emitted, copies the weights across and compares outputs, gradients,
    statistics and every labelled intermediate on unlike sizes. Needs both frameworks.

    \b
    Examples:
      nnspec verify resnet.nns:ResNet18
      nnspec verify gpt2.nns:GPT2 depth=2 vocab=100 --json
      nnspec verify lenet.nns --backend all --compile
    """
    from nnspec.cli.render import write, write_json

    chosen = ("tensorflow", "jax", "torch") if "all" in backends else backends

    with spec_errors_reported(as_json):
        reports = [
            (model.name, model.verify(backends=chosen, compile=compiled))
            for model in (
                checkpointed(each, checkpoint) for each in load_models(spec, settings)
            )
        ]
    if as_json:
        write_json(_whole(reports))
    else:
        write("".join(_lines(name, report) for name, report in reports))
    return 0 if all(report.ok for _, report in reports) else 1


def _whole(reports: list[tuple[str, VerifyReport]]) -> dict[str, Any]:
    """The verdict over all models, and each one's own."""
    return {
        "ok": all(report.ok for _, report in reports),
        "max_error": max((report.max_error for _, report in reports), default=0.0),
        "parameters": sum(report.parameters for _, report in reports),
        "models": [
            {
                "name": name,
                "ok": report.ok,
                "max_error": report.max_error,
                "parameters": report.parameters,
                "compared": report.compared,
            }
            for name, report in reports
        ],
    }


def _lines(name: str, report: VerifyReport) -> str:
    from nnspec.cli.shown.text import visible, visible_lines

    verdict = "agrees" if report.ok else "DIFFERS"
    details = visible_lines(report.text())
    return (
        f"{visible(name)}: {verdict}, largest error {report.max_error:.1e}, "
        f"{report.parameters:,} parameters\n{details}"
    )
