"""What a figure assumes beside the program: number formats, optimizer, attention kernel, dropout.

Byte counts are meaningless without these, so every figure that depends on one names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Literal

from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.types import DType
from nnspec.records import dataclass

Attention = Literal["fused", "materialised"]
Dropout = Literal["configured", "off"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The element types of a run.

    `weights` are those that the model computes with, `activations` those between layers, `products` those
    that matrix units take. `master` is a second copy of the weights that the optimizer keeps in mixed
    precision (Micikevicius et al., 2018), in bytes for each parameter; 0 where there is none.
    `trains` says whether gradients exist at all.
    """

    name: str
    weights: DType
    activations: DType
    gradients: DType
    products: DType
    master: int = 0
    trains: bool = True

    def bytes(self, dtype: DType) -> int:
        """Bytes of an element of an activation."""
        return self.activations.bytes if dtype is DType.FLOAT else dtype.bytes


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        each.name: each
        for each in (
            Policy("fp32", DType.F32, DType.F32, DType.F32, DType.F32),
            Policy("bf16", DType.BF16, DType.BF16, DType.BF16, DType.BF16),
            Policy("fp16", DType.F16, DType.F16, DType.F16, DType.F16),
            Policy("mixed_bf16", DType.BF16, DType.BF16, DType.BF16, DType.BF16, 4),
            Policy("mixed_fp16", DType.F16, DType.F16, DType.F16, DType.F16, 4),
            Policy("int8", DType.I8, DType.BF16, DType.BF16, DType.BF16, trains=False),
        )
    }
)

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "adafactor", "adam8bit", "muon")
ATTENTIONS: tuple[Attention, ...] = ("fused", "materialised")
DROPOUTS: tuple[Dropout, ...] = ("configured", "off")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a figure assumes beside the program."""

    policy: Policy = POLICIES["fp32"]
    optimizer: str = "adam"
    attention: Attention = "fused"
    dropout: Dropout = "configured"

    @staticmethod
    def named(**chosen: str) -> Setting:
        """A setting by the names of its parts. Raises `SpecError` for what does not exist."""
        known = [field.name for field in fields(Setting)]
        for name in chosen:
            if name not in known:
                raise _unknown("assumption", name, known)
        policy = _one_of("policy", chosen.pop("policy", "fp32"), POLICIES)
        for name, choices in _CHOICES.items():
            if name in chosen:
                _one_of(name, chosen[name], choices)
        return Setting(POLICIES[policy], **chosen)  # pyright: ignore[reportArgumentType] -- checked above


_CHOICES = {"optimizer": OPTIMIZERS, "attention": ATTENTIONS, "dropout": DROPOUTS}


def _one_of(
    what: str, name: str, choices: Mapping[str, object] | tuple[str, ...]
) -> str:
    if name not in choices:
        raise _unknown(what, name, list(choices))
    return name


def _unknown(what: str, name: str, known: list[str]) -> SpecError:
    hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
    return SpecError("E0902", f"there is no {what} named `{name}`", hint=hint)
