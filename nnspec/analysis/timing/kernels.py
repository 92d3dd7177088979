"""The work of each operator: what it computes and moves, forward and backward, at given sizes.

One operator is taken for one kernel, which reads its inputs and weights from memory once and writes its
results there. Views are none. What a backward kernel reads of values that the forward pass kept is counted
where a product needs it; other operators are counted as reading the gradient that comes in, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, cast

from nnspec.analysis import rules
from nnspec.analysis.setting import Policy, Setting
from nnspec.analysis.uses import Site
from nnspec.ir.dims import Dim, Size, product
from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import Product
from nnspec.records import dataclass

Mode = Literal["forward", "training"]
MODES: tuple[Mode, ...] = ("forward", "training")
Half = Literal["inputs", "weights"]
"""The backward pass in two: the gradients of inputs, which others wait for, and of weights."""

ELEMENTS: Mapping[DType, str] = {
    DType.F64: "fp64",
    DType.F32: "fp32",
    DType.BF16: "bf16",
    DType.F16: "fp16",
    DType.I8: "int8",
}
"""What devices call the elements of matrix products."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Work that is launched together.

    `flops` of matrix products on elements of type `element`, other arithmetic `operations`, `bytes` read
    and written, and how many `launches` it takes at least.
    """

    flops: int
    element: str
    operations: int
    bytes: int
    launches: int = 1


class Kernels:
    """The kernels of nodes under a setting, with all sizes known."""

    def __init__(
        self, setting: Setting, sizes: Mapping[str, Size], mode: Mode | Half
    ) -> None:
        self.setting = setting
        self.sizes = sizes
        self.mode = mode

    def of_site(self, site: Site) -> tuple[Kernel, ...]:
        """The kernels of a node that applies an operator; none of a view."""
        if self.mode == "weights":
            found = [self.backward(site, self.mode)]
        elif self.mode == "inputs":
            found = [self.backward(site, self.mode), *self._again(site)]
        elif self.mode == "training":
            found = [self.forward(site), self.backward(site), *self._again(site)]
        else:
            found = [self.forward(site)]
        return tuple(kernel for kernel in found if kernel is not None)

    def forward(self, site: Site) -> Kernel | None:
        """The kernel of the forward pass; None of a view."""
        moved = rules.bytes_read(site, self.setting) + rules.bytes_written(
            site, self.setting
        )
        kernel = Kernel(
            self._at(rules.flops(site)),
            self._element(site),
            self._at(rules.elementwise(site)),
            self._at(moved),
            1 + self._further_launches(site),
        )
        return kernel if kernel.bytes or kernel.flops else None

    def _again(self, site: Site) -> list[Kernel | None]:
        """What the backward pass computes again, before any gradient."""
        return [*[self.forward(site)] * site.again, self.begun(site)]

    def begun(self, site: Site) -> Kernel | None:
        """What the backward pass computes again of an operator within which it stops: all but the last product."""
        whole = self.forward(site) if site.ends else None
        if whole is None:
            return None
        products = rules.operator_of(site).products(*site.types)
        left_out = self._at(products[-1].flops) if products else 0
        return replace(whole, flops=whole.flops - left_out)

    def _further_launches(self, site: Site) -> int:
        """An unfused kernel ends wherever it writes a result in between."""
        if self.setting.attention == "fused":
            return 0
        return len(rules.operator_of(site).materialised(*site.types))

    def backward(self, site: Site, half: Half | None = None) -> Kernel | None:
        """The work of the backward pass or of one half; None where no gradient is computed."""
        if not site.is_reached or not self._moves(site):
            return None

        def needs(name: str) -> bool:
            if half is not None and (name in site.weights) != (half == "weights"):
                return False
            return site.needs(name)

        written = list(self._gradients(site, needs))
        if not written:
            return None
        products = rules.operator_of(site).products(*site.types)
        incoming = (self._activation(each) for each in site.results)
        moved = [*written, *incoming, *self._operands(site, products, needs)]
        return Kernel(
            self._at(rules.backward_flops(site, needs)),
            self._element(site),
            0,
            sum(moved),
            _operands_with_gradients(needs, products[0]) if len(products) == 1 else 1,
        )

    def _moves(self, site: Site) -> bool:
        traffic = rules.operator_of(site).traffic(*site.types)
        return bool(traffic.reads or traffic.writes)

    def _gradients(self, site: Site, needs: Callable[[str], bool]) -> Iterator[int]:
        """Bytes of each gradient that is computed: of inputs, and of weights."""
        passes = rules.operator_of(site).passes_gradient
        for name, kind in _inputs(site):
            if needs(name) and not passes(kind, *site.results):
                yield self._activation(kind)
        for name, weight in site.weights.items():
            if needs(name):
                size = self._at(product(weight.shape))
                yield size * self.setting.policy.gradients.bytes

    def _operands(
        self, site: Site, products: Iterable[Product], needs: Callable[[str], bool]
    ) -> Iterator[int]:
        """Bytes of what gradients of products are computed from, beside the gradient that comes in."""
        wanted: set[str] = set()
        for each in products:
            for own, other in ((each.left, each.right), (each.right, each.left)):
                if any(map(needs, own)):
                    wanted.update(other)
        for name, kind in _read(site):
            if name in wanted:
                yield self._activation(kind)
        for name, weight in site.weights.items():
            if name in wanted:
                size = self._at(product(weight.shape))
                yield size * self.setting.policy.weights.bytes

    def _activation(self, kind: TensorType) -> int:
        return self._at(kind.elements) * self.setting.policy.bytes(kind.dtype)

    def _at(self, value: Dim) -> int:
        return int(value.at(self.sizes))

    def _element(self, site: Site) -> str:
        return element_of(site.results[0].dtype, self.setting.policy)


def element_of(dtype: DType, policy: Policy) -> str:
    """What devices call the elements that a product of this type takes."""
    computed = policy.products if dtype is DType.FLOAT else dtype
    return ELEMENTS.get(computed, computed.value)


def _inputs(site: Site) -> Iterator[tuple[str, TensorType]]:
    """The tensor inputs by name; those of a list as `xs.0`, `xs.1`."""
    names = type(rules.operator_of(site)).inputs
    for name, kind in zip(names, site.types, strict=False):
        if isinstance(kind, TensorType):
            yield name, kind
        elif kind is not None:
            listed = cast("tuple[TensorType, ...]", kind)
            yield from ((f"{name}.{place}", each) for place, each in enumerate(listed))


def _read(site: Site) -> Iterator[tuple[str, TensorType]]:
    """The same, of each what is read of it: of an image that windows leap over not all cells."""
    inputs = [*_inputs(site)]
    reads = rules.operator_of(site).traffic(*site.types).reads
    if len(reads) != len(inputs):
        return iter(inputs)
    names = (name for name, _ in inputs)
    return zip(names, reads, strict=True)


def _operands_with_gradients(needs: Callable[[str], bool], each: Product) -> int:
    return max(1, sum(any(map(needs, names)) for names in (each.left, each.right)))
