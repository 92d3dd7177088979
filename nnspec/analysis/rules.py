"""What one node takes: the rules behind the figures that are sums over nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nnspec.analysis.setting import Setting
from nnspec.analysis.uses import Site
from nnspec.ir.dims import ZERO, Dim, product, total
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, Product


def operator_of(site: Site) -> Operator:
    """The operator of a node that applies one."""
    assert site.node.op is not None
    return site.node.op


def parameters(site: Site) -> Dim:
    """Weights that training could change, frozen ones among them."""
    return _weights(site, trainable=True)


def trainable(site: Site) -> Dim:
    """Weights that training changes."""
    return ZERO if site.is_frozen else _weights(site, trainable=True)


def state(site: Site) -> Dim:
    """Numbers that are kept and not trained: batch statistics."""
    return _weights(site, trainable=False)


def _weights(site: Site, *, trainable: bool) -> Dim:
    return total(
        product(weight.shape)
        for weight in site.weights.values()
        if weight.trainable is trainable
    )


def keras_parameters(site: Site) -> Dim:
    """The variables that Keras counts as parameters, trained or not."""
    shapes = {name: product(weight.shape) for name, weight in site.weights.items()}
    return total(
        variable.elements([shapes[source] for source in variable.sources])
        for variable in operator_of(site).keras_weights(*site.types)
    )


# ---- arithmetic -------------------------------------------------------------------------------------


def flops(site: Site) -> Dim:
    """2 x multiply-accumulates of the forward pass."""
    return operator_of(site).flops(*site.types)


def backward_flops(site: Site, needs: Callable[[str], bool] | None = None) -> Dim:
    """2 x multiply-accumulates of the backward pass, or of the gradients of what `needs` them."""
    if not site.is_reached:
        return ZERO
    wanted = site.needs if needs is None else needs
    return total(
        _backward(wanted, each) for each in operator_of(site).products(*site.types)
    )


def _backward(needs: Callable[[str], bool], each: Product) -> Dim:
    """One product for each operand that needs a gradient."""
    operands = sum(any(map(needs, names)) for names in (each.left, each.right))
    return each.flops * operands


def elementwise(site: Site) -> Dim:
    """Operations of the forward pass that belong to no product."""
    return operator_of(site).elementwise(*site.types)


# ---- what is computed again ---------------------------------------------------------------------------


def recomputed_flops(site: Site) -> Dim:
    """2 x multiply-accumulates of the forward pass that the backward pass repeats."""
    if not site.again and not site.ends:
        return ZERO
    products = operator_of(site).products(*site.types)
    begun = total(each.flops for each in products[:-1]) if site.ends else ZERO
    return flops(site) * site.again + begun


def recomputed_elementwise(site: Site) -> Dim:
    """Operations outside of products that the backward pass repeats; where it stops in between, all."""
    times = site.again + site.ends
    return elementwise(site) * times if times else ZERO


def recomputed_bytes(site: Site, setting: Setting) -> Dim:
    """What is read and written once more; where it stops in between, all."""
    times = site.again + site.ends
    if not times:
        return ZERO
    return (bytes_read(site, setting) + bytes_written(site, setting)) * times


# ---- memory traffic ---------------------------------------------------------------------------------


def bytes_read(site: Site, setting: Setting) -> Dim:
    """What a forward pass reads from memory, if each kernel reads its inputs once."""
    traffic = operator_of(site).traffic(*site.types)
    weights = total(each.elements for each in traffic.weights)
    return (
        _bytes(traffic.reads, setting)
        + weights * setting.policy.weights.bytes
        + _between(site, setting)
    )


def bytes_written(site: Site, setting: Setting) -> Dim:
    """What a forward pass writes to memory."""
    traffic = operator_of(site).traffic(*site.types)
    return _bytes(traffic.writes, setting) + _between(site, setting)


def _between(site: Site, setting: Setting) -> Dim:
    if setting.attention == "fused":
        return ZERO
    return _bytes(operator_of(site).materialised(*site.types), setting)


def _bytes(tensors: Iterable[TensorType], setting: Setting) -> Dim:
    return total(each.elements * setting.policy.bytes(each.dtype) for each in tensors)


__all__ = [
    "backward_flops",
    "bytes_read",
    "bytes_written",
    "elementwise",
    "flops",
    "keras_parameters",
    "parameters",
    "recomputed_bytes",
    "recomputed_elementwise",
    "recomputed_flops",
    "state",
    "trainable",
]
