"""The options that say what a figure assumes, for every command that gives figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nnspec.analysis.setting import Setting
    from nnspec.spec import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = {
    "policy": "Element types: fp32 (the default), bf16, fp16, mixed_bf16, mixed_fp16, int8.",
    "optimizer": "sgd, momentum, adam (the default), adamw, adafactor, adam8bit, muon.",
    "attention": "The attention kernel: fused (the default) or materialised.",
    "dropout": "As configured (the default), or off.",
}


def setting_options(command: Command) -> Command:
    """Adds the options, passed on as `assumed`: the names that were chosen."""
    for name, text in reversed(_OPTIONS.items()):
        command = click.option(f"--{name}", metavar="NAME", help=text)(command)
    return command


def setting_of(chosen: dict[str, str | None]) -> Setting:
    """The setting that the options mean. Raises `SpecError` for a name that is none."""
    from nnspec.analysis.setting import Setting

    given = {
        name: value
        for name, value in chosen.items()
        if name in _OPTIONS and value is not None
    }
    return Setting.named(**given)


def checkpoint_option(command: Command) -> Command:
    """Adds `--checkpoint`, passed on as `checkpoint`."""
    option = click.option(
        "--checkpoint",
        metavar="BLOCK,...",
        help="Blocks to compute again in the backward pass, as under @checkpoint.",
    )
    return option(command)


def checkpointed(model: Spec, blocks: str | None) -> Spec:
    """The model with the blocks that were named computed again. Raises `SpecError` for a name that is none."""
    if blocks is None:
        return model
    from nnspec.cli.arguments import listed

    return model.checkpointed(*listed("--checkpoint", blocks))
