"""What optimizers keep for each weight, and what a step makes on the way.

Of PyTorch's own optimizers both are as `torch.optim` allocates them with `foreach=False`, one weight after
another; 8-bit Adam is as torchao and bitsandbytes store it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nnspec.analysis.setting import Policy
from nnspec.ir.dims import ZERO, Dim, Size, dim, minimum, product
from nnspec.records import dataclass

# Blocks of 8-bit states share a float32 factor; small weights keep float32 states.
BLOCK = 256
LEAST_8_BIT = 4096
# The step counter of Adam and Adafactor is a float32 tensor of one element.
COUNTER = 4


@dataclass(frozen=True, slots=True)
class Parameter:
    """A trained weight as an optimizer sees it. `is_table`: rows that are looked up, which Muon leaves out."""

    shape: tuple[Dim, ...]
    is_table: bool = False

    @property
    def elements(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    def at(self, sizes: Mapping[str, Size]) -> Parameter:
        """The same with some sizes given."""
        return Parameter(tuple(size.at(sizes) for size in self.shape), self.is_table)

    def symbols(self) -> set[str]:
        """The names in its sizes."""
        return {name for size in self.shape for name in size.symbols()}


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Bytes by the bytes of an element: of a weight's state, of what one step makes for it, and leaves.

    What is `left` of a weight, given first, is still alive while the next one is changed.
    """

    state: Callable[[Parameter, int], Dim]
    step: Callable[[Parameter, int], Dim]
    left: Callable[[Parameter, Parameter, int], Dim]


def state_width(policy: Policy) -> int:
    """Bytes of an element of the states: float32 beside master weights, else as the weights are."""
    return policy.master or policy.gradients.bytes


def nothing(parameter: Parameter, width: int) -> Dim:
    """No bytes."""
    return ZERO


def nothing_left(before: Parameter, parameter: Parameter, width: int) -> Dim:
    """No bytes of the weight before."""
    return ZERO


def momentum(parameter: Parameter, width: int) -> Dim:
    """One running mean."""
    return parameter.elements * width


def adam(parameter: Parameter, width: int) -> Dim:
    """Two running means and a counter (Kingma and Ba, 2015)."""
    return 2 * parameter.elements * width + COUNTER


def adam_step(parameter: Parameter, width: int) -> Dim:
    """The root of the second mean, and the same divided."""
    return 2 * parameter.elements * width


def adam_left(before: Parameter, parameter: Parameter, width: int) -> Dim:
    """What the update was divided by."""
    return before.elements * width


def adafactor(parameter: Parameter, width: int) -> Dim:
    """A mean for each row and each column of a matrix (Shazeer and Stern, 2018), and a counter."""
    if len(parameter.shape) < 2:
        return parameter.elements * width + COUNTER
    return _means(parameter) * width + COUNTER


def adafactor_step(parameter: Parameter, width: int) -> Dim:
    """The estimate of the variance, from which the update is made in place, and what it is made of.

    Of a matrix the means of rows and columns, and one number to divide by; of a vector its squares.
    """
    if len(parameter.shape) < 2:
        return 2 * parameter.elements * width
    divisors = product(parameter.shape[:-2])
    return (parameter.elements + _means(parameter) + divisors) * width


def adafactor_left(before: Parameter, parameter: Parameter, width: int) -> Dim:
    """The estimate, and what it was made of where that of the next weight is of another kind."""
    were, are = len(before.shape) < 2, len(parameter.shape) < 2
    if were == are:
        return before.elements * width
    made_of = before.elements if were else _means(before)
    return (before.elements + made_of) * width


def _means(parameter: Parameter) -> Dim:
    """The number of rows and columns; stacks of matrices have them each."""
    shape = parameter.shape
    return product(shape[:-1]) + product(shape[:-2]) * shape[-1]


def adam_8_bit(parameter: Parameter, width: int) -> Dim:
    """Two means of a byte an element and a factor for each block (Dettmers et al., 2022)."""
    elements = parameter.elements
    if elements.is_constant and elements < LEAST_8_BIT:
        return 2 * elements * 4
    return 2 * (elements + 4 * elements.ceil_divide(BLOCK))


def muon(parameter: Parameter, width: int) -> Dim:
    """One mean of a matrix (Jordan et al., 2024); tables, vectors and all else are left to Adam, as PyTorch asks."""
    return (
        momentum(parameter, width) if _is_matrix(parameter) else adam(parameter, width)
    )


def muon_step(parameter: Parameter, width: int) -> Dim:
    """The update, and two matrices and two squares in bfloat16 while it is made orthogonal."""
    if not _is_matrix(parameter):
        return adam_step(parameter, width)
    side = minimum(*parameter.shape)
    return parameter.elements * (width + 4) + 4 * side * side


def muon_left(before: Parameter, parameter: Parameter, width: int) -> Dim:
    """What Adam leaves of the weights that are left to it."""
    if _is_matrix(before) or _is_matrix(parameter):
        return ZERO
    return adam_left(before, parameter, width)


def _is_matrix(parameter: Parameter) -> bool:
    """Whether Muon takes a weight."""
    return len(parameter.shape) == 2 and not parameter.is_table


OPTIMIZERS: Mapping[str, Optimizer] = MappingProxyType(
    {
        "sgd": Optimizer(nothing, nothing, nothing_left),
        "momentum": Optimizer(momentum, nothing, nothing_left),
        "adam": Optimizer(adam, adam_step, adam_left),
        "adamw": Optimizer(adam, adam_step, adam_left),
        "adafactor": Optimizer(adafactor, adafactor_step, adafactor_left),
        "adam8bit": Optimizer(adam_8_bit, nothing, nothing_left),
        "muon": Optimizer(muon, muon_step, muon_left),
    }
)

__all__ = ["OPTIMIZERS", "Optimizer", "Parameter", "dim", "state_width"]
