"""Attention."""

from __future__ import annotations

from typing import ClassVar

from nnspec.ir.dims import Dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops.along_axis import SOFTMAX_OPERATIONS
from nnspec.ops.base import (
    Float,
    Io,
    Operator,
    OpError,
    Product,
    Rate,
    join_dtypes,
    require_float,
)
from nnspec.ops.rules import Caveat
from nnspec.pycode.expressions import Choice, Expr, Literal, Namespace, default

torch, F, nn = Namespace("torch"), Namespace("F"), Namespace("nn")
layers, math = Namespace("layers"), Namespace("math")


class Attention(Operator):
    """Scaled dot-product attention: softmax(q k^T * scale + bias) v.

    q: [*S, heads, T, D], k: [*S, kv_heads, S, D], v: [*S, kv_heads, S, V] -> [*S, heads, T, V]. Where
    there are fewer key heads, each serves `heads / kv_heads` query heads in a row. `mask` (bool, true
    where a query may look at a key) and `bias` (added to the scores) broadcast to [*S, heads, T, S];
    with `causal`, query i looks at keys 0 to i. A query that may look at nothing gives zeros. `scale` is
    1 / sqrt(D) if not given; `dropout` is the rate at which weights are dropped in training.

    FLOPs: 2 T S D + 2 T S V for each head, masked or not. Vaswani et al., 2017; grouped queries after
    Ainslie et al., 2023.

    Example: `attention(q, k, v, mask=mask, causal=true)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "memory",
            "about",
            "the kernel that PyTorch takes on a CPU; other devices may take another",
            under=("attention", "fused"),
        ),
    )

    spelling: ClassVar[str | None] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ("q", "k", "v", "mask", "bias")
    optional: ClassVar[frozenset[str]] = frozenset({"mask", "bias"})

    causal: bool = False
    scale: Float | None = None
    dropout: Rate = 0.0

    @property
    def random(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """Whether it draws random numbers in training."""
        return self.dropout > 0

    # ---- rules -------------------------------------------------------------------------------

    def infer(
        self,
        q: TensorType,
        k: TensorType,
        v: TensorType,
        mask: TensorType | None = None,
        bias: TensorType | None = None,
    ) -> TensorType:
        dtype = q.dtype
        for name, x in (("q", q), ("k", k), ("v", v)):
            require_float(x, input=name)
            if not 3 <= x.rank <= 6:
                raise OpError(
                    f"needs 3 to 6 axes, [..., heads, places, width], and got {x}",
                    input=name,
                    hint='split the heads off: `rearrange("b t (h d) -> b h t d", h=heads)`',
                    code="E0403",
                )
            dtype = join_dtypes(dtype, x.dtype)
        _require_matching(q, k, v)
        scores = (*q.shape[:-1], k.shape[-2])
        if mask is not None:
            _require_mask(mask, scores)
        if bias is not None:
            _require_bias(bias, q, scores)
        return TensorType((*q.shape[:-1], v.shape[-1]), dtype)

    def products(
        self, q: TensorType, k: TensorType, v: TensorType, *others: TensorType | None
    ) -> tuple[Product, ...]:
        scores = self._scores(q, k).elements
        return (
            Product(("q",), ("k",), 2 * scores * q.shape[-1]),
            Product(("q", "k", "bias"), ("v",), 2 * scores * v.shape[-1]),
        )

    def elementwise(
        self,
        q: TensorType,
        k: TensorType,
        v: TensorType,
        mask: TensorType | None = None,
        bias: TensorType | None = None,
    ) -> Dim:
        """For each score: the scale and the softmax, and what is added or masked."""
        masks = (mask is not None) + (bias is not None) + self.causal
        return self._scores(q, k).elements * (1 + SOFTMAX_OPERATIONS + masks)

    def materialised(
        self, q: TensorType, k: TensorType, v: TensorType, *others: TensorType | None
    ) -> tuple[TensorType, ...]:
        """The scores and what the softmax makes of them."""
        return (self._scores(q, k),) * 2

    def _scores(self, q: TensorType, k: TensorType) -> TensorType:
        return TensorType((*q.shape[:-1], k.shape[-2]), q.dtype)

    # ---- PyTorch -----------------------------------------------------------------------------

    def torch(self, io: Io) -> Expr:
        scores = self._torch_scores(io)
        options: dict[str, object] = {"attn_mask": scores} if scores is not None else {}
        dropout = self._dropout(io, nn.Dropout)
        if dropout is not None:
            rate = Choice(
                dropout.attribute("training"), dropout.attribute("p"), Literal(0.0)
            )
            options["dropout_p"] = rate
        if self.causal and scores is None:
            options["is_causal"] = True
        return F.scaled_dot_product_attention(
            io["q"],
            io["k"],
            io["v"],
            **options,
            scale=default(io.arg("scale"), None),
            enable_gqa=default(_is_grouped(io), False),
        )

    def _torch_scores(self, io: Io) -> Expr | None:
        """What is added to the scores, or where they count; None if `is_causal` says it all."""
        mask = io["mask"] if io.has("mask") else None
        if self.causal and (mask is not None or io.has("bias")):
            sizes = (
                io.size(io.type("q").rank - 2, "q"),
                io.size(io.type("k").rank - 2, "k"),
            )
            device = {"device": io["q"].attribute("device")}
            lower = torch.ones(*sizes, dtype=torch.bool, **device).method("tril")
            mask = lower if mask is None else mask & lower
        if not io.has("bias"):
            return mask
        if mask is None:
            return io["bias"]
        return torch.where(mask, io["bias"], -math.inf)

    # ---- Keras -------------------------------------------------------------------------------

    def keras(self, io: Io) -> Expr:
        options = {name: io[name] for name in ("mask", "bias") if io.has(name)}
        dropout = self._dropout(io, layers.Dropout)
        return io.helper("attention")(
            io["q"],
            io["k"],
            io["v"],
            **options,
            causal=default(self.causal, False),
            scale=default(io.arg("scale"), None),
            **({} if dropout is None else {"dropout": dropout}),
        )

    def _dropout(self, io: Io, function: Expr) -> Expr | None:
        """The layer that drops weights; none where the spec asks for no dropout at all."""
        rate = io.arg("dropout")
        if isinstance(rate, Literal) and self.dropout == 0:
            return None
        return io.module(function, rate, suffix="_dropout")


def _is_grouped(io: Io) -> bool:
    return io.type("q").shape[-3] != io.type("k").shape[-3]


def _require_matching(q: TensorType, k: TensorType, v: TensorType) -> None:
    for name, x in (("k", k), ("v", v)):
        if x.shape[:-3] != q.shape[:-3]:
            raise OpError(
                f"the axes before the heads must be those of the queries, {q}, and this is {x}",
                input=name,
                code="E0406",
                hint="make batch and other leading axes the same for queries, keys and values",
            )
    if k.shape[-1] != q.shape[-1]:
        raise OpError(
            f"the keys {k} have width {k.shape[-1]}, and the queries {q} have {q.shape[-1]}",
            input="k",
            code="E0406",
            hint="project queries and keys to one width",
        )
    if v.shape[-3:-1] != k.shape[-3:-1]:
        raise OpError(
            f"the values {v} must have the heads and places of the keys {k}",
            input="v",
            code="E0406",
            hint="make values from the same tensor as the keys, with as many heads",
        )
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if heads % kv_heads != 0:
        raise OpError(
            f"{heads} query heads cannot share {kv_heads} key heads evenly",
            input="k",
            hint="make the number of query heads a multiple of that of the key heads",
            code="E0407",
        )


def _require_mask(mask: TensorType, scores: tuple[Dim, ...]) -> None:
    if mask.dtype is not DType.BOOL:
        raise OpError(
            f"the mask says where to look and holds bool, and {mask} holds {mask.dtype.value}",
            input="mask",
            hint="compare first (`tokens != pad`); give scores to add as `bias=`",
            code="E0404",
        )
    _require_broadcast(mask, scores, "mask")


def _require_bias(bias: TensorType, q: TensorType, scores: tuple[Dim, ...]) -> None:
    require_float(bias, input="bias")
    if bias.dtype is not q.dtype:
        raise OpError(
            f"the bias holds {bias.dtype.value} and the queries {q.dtype.value}",
            input="bias",
            hint="convert it: `cast(bias, dtype(q))`",
            code="E0405",
        )
    _require_broadcast(bias, scores, "bias")


def _require_broadcast(x: TensorType, scores: tuple[Dim, ...], name: str) -> None:
    fits = x.rank <= len(scores) and all(
        size in (1, wanted)
        for size, wanted in zip(x.shape[::-1], scores[::-1], strict=False)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in scores)
        raise OpError(
            f"{x} does not broadcast to the scores, [{wanted}]",
            input=name,
            hint="add axes of size 1 for heads and queries: `unsqueeze(mask, [1, 2])`",
            code="E0411",
        )
