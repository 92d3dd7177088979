"""What tensor parallelism splits, and what it leaves whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import create_autospec

import pytest

import nnspec
from nnspec.analysis.sharding.axes import axes_behind
from nnspec.analysis.sharding.held import weights_of
from nnspec.analysis.sharding.parts import Part, Parts, tensor_parts
from nnspec.analysis.sharding.plan import Style, TensorPlan
from nnspec.analysis.sharding.reasons import NOT_A_KIND, reasons_of
from nnspec.analysis.sharding.shapes import Divided, with_share_open
from nnspec.ir.dims import dim
from nnspec.ir.graph import Function, Program, dotted
from nnspec.ir.types import DType, TensorType
from nnspec.ops.along_axis import Softmax
from nnspec.ops.base import Io, Operator, OpError, results_of
from nnspec.ops.indexing import Take
from nnspec.ops.products import Einsum, Matmul
from nnspec.ops.reductions import Mean
from nnspec.ops.shaping import Broadcast, Reshape
from nnspec.targets.engines.split_operators import (
    ApartDropout,
    OwnShare,
    OwnTable,
    Summed,
)
from nnspec.targets.engines.torch_sharded import MeshShape, emit_mesh
from tests.engines.specs import ROOT, SCORES, bert, llama, spec_of, swin, t5


def program_of(text: str) -> Program:
    return spec_of(text.replace(" ; ", "\n")).program


def function_parts(text: str, name: str) -> tuple[Part, ...]:
    return tensor_parts(program_of(text))[name].parts


def parts_of(text: str) -> list[tuple[Any, ...]]:
    return split_layers(program_of(text))


def split_layers(program: Program) -> list[tuple[Any, ...]]:
    """First layers (with their stretches), last one and widths of each part, in the order in which they run."""
    return list(below(program, tensor_parts(program), program.main, ""))


def below(
    program: Program, parts: Mapping[str, Parts], function: Function, prefix: str
) -> Iterator[tuple[Any, ...]]:
    own = {part.row: part for part in parts[function.key].parts}
    paths = {node.id: f"{prefix}{dotted(node.path)}" for node in function.nodes}
    for node in function.nodes:
        if node.callee is not None and node.owns:
            callee = program.functions[node.callee]
            yield from below(program, parts, callee, f"{paths[node.id]}.")
        elif node.id in own:
            part = own[node.id]
            columns = {paths[number]: each for number, each in part.columns.items()}
            yield columns, paths[node.id], tuple(sorted(part.widths))


def test_pairs_have_elements_between() -> None:
    assert parts_of(
        """
block Gated(x: [B, D]) { a = x -> up: Linear(4 * D) ; g = x -> gate: Linear(4 * D) -> silu ; return (a * g) -> down: Linear(D) }
block Packed(x: [B, D]) { a, g = x -> both: Linear(8 * D) -> split(2) ; return (a * silu(g)) -> down: Linear(D) }
model M {
  input x: [B, 8]
  x = x -> one: Linear(16) -> relu -> two: Linear(8)
  x = x -> three: Linear(16) -> LayerNorm -> four: Linear(8)
  x = x -> five: Linear(16) -> Dropout(0.1) -> six: Linear(8)
  y = x -> seven: Linear(16)
  x = y -> gelu -> eight: Linear(8)
  output z = y
  output w = x -> gated: Gated -> packed: Packed
}
"""
    ) == [
        ({"one": 1}, "two", (16,)),
        ({"four": 1}, "five", (8,)),
        ({"six": 1}, "seven", (8,)),
        ({"gated.up": 1, "gated.gate": 1}, "gated.down", (32,)),
        ({"packed.both": 2}, "packed.down", (32,)),
    ]


ATTENTION = """
block Attention(x: [B, T, D], heads: int, kv_heads: int) {
  q = x -> q: Linear(D) -> rearrange("b t (h d) -> b h t d", h=heads)
  k = x -> k: Linear(D // heads * kv_heads) -> rearrange("b t (h d) -> b h t d", h=kv_heads)
  v = x -> v: Linear(D // heads * kv_heads) -> rearrange("b t (h d) -> b h t d", h=kv_heads)
  return %s -> rearrange("b h t d -> b t (h d)") -> out: Linear(D)
}
model M { input x: [B, T, 16] ; output y = x -> attn: Attention(4, 2) }
"""


def test_attention_is_split_by_heads() -> None:
    columns = {"attn.q": 1, "attn.k": 1, "attn.v": 1}
    split = [(columns, "attn.out", (2, 4, 8, 16))]
    assert parts_of(ATTENTION % "attention(q, k, v)") == split
    causal = "attention(q, k, v, causal=true, scale=0.5)"
    assert parts_of(ATTENTION % causal) == split
    # What a head draws, or is the same for all, does not stand in the way.
    assert parts_of(ATTENTION % "attention(q, k, v, dropout=0.1)") == split
    each = "softmax(attention(q, k, v) * Param([4, 1, 1]), dim=-1)"
    assert parts_of(ATTENTION % each) == split
    # What mixes heads cannot be shared.
    for whole in (
        "attention(q * mean(q), k, v)",
        "(attention(q, k, v) -> LayerNorm)",
        "softmax(attention(q, k, v), dim=1)",
    ):
        assert parts_of(ATTENTION % whole) == [], whole


def test_attention_is_split_however_it_is_written() -> None:
    """Heads that are split off by shape, scores that are multiplied, masked and normalised by hand."""
    q, k, v = {"layers.0.q": 1}, {"layers.0.k": 1}, {"layers.0.v": 1}
    (first, mlp, *_) = split_layers(spec_of(SCORES).program)
    assert first == (q | k | v, "layers.0.out", (4, 16))
    assert mlp[:2] == ({"layers.0.up": 1}, "layers.0.down")


MASKED = """
block Attention(x: [B, T, D], mask: bool[_, _, _, T], heads: int) {
  q, k, v = x -> qkv: Linear(3 * D) -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  return attention(q, k, v, mask=mask) -> rearrange("b h t d -> b t (h d)") -> out: Linear(D)
}
model M { input x: [B, T, 16] ; input ids: i64[B, T] ; output y = (x, unsqueeze(ids != 0, [1, 2])) -> attn: Attention(4) }
"""


def test_masks_of_all_heads_or_of_each() -> None:
    split = [({"attn.qkv": 3}, "attn.out", (4, 16))]
    assert parts_of(MASKED) == split
    own = MASKED.replace("i64[B, T]", "i64[B, 4, T, T]")
    own = own.replace("unsqueeze(ids != 0, [1, 2])", "ids != 0")
    assert parts_of(own) == split
    (part,) = function_parts(own, "Attention")
    assert part.taken == {1: Divided(1)}


BIASED = """
block Attention(x: [B, T, D], bias: [1, _, T, T], heads: int) {
  q, k, v = x -> qkv: Linear(3 * D) -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  return attention(q, k, v, bias=bias) -> rearrange("b h t d -> b t (h d)") -> out: Linear(D)
}
model M { input x: [B, 5, 16] ; output y = (x, %s) -> attn: Attention(4) }
"""


@pytest.mark.parametrize(
    ("bias", "taken", "summed"),
    [
        ("zeros([1, 1, 5, 5])", {}, set()),
        ("zeros([1, 4, 5, 5])", {1: Divided(1)}, set()),
        ("Param([1, 1, 5, 5])", {}, {1}),
        ("tanh(Param([1, 4, 5, 5]))", {1: Divided(1)}, set()),
    ],
)
def test_biases_are_shared_or_their_gradients_summed(
    bias: str, taken: dict[int, Divided], summed: set[int]
) -> None:
    assert parts_of(BIASED % bias) == [({"attn.qkv": 3}, "attn.out", (4, 16))]
    (part,) = function_parts(BIASED % bias, "Attention")
    assert (part.taken, part.summed) == (taken, summed)


def test_biases_that_depend_on_the_sample_stay_whole() -> None:
    """Each device would know the gradient of its heads alone, for a value as large as those it shares."""
    text = BIASED.replace("%s", 'mean(einsum("b t d, b s d -> b t s", x, x), dim=0)')
    text = text.replace("mean(", "unsqueeze(mean(").replace(
        "dim=0))", "dim=0), [0, 1]))"
    )
    assert parts_of(text) == []
    reasons = reasons_of(TensorPlan(spec_of(text.replace(" ; ", "\n")).program, 2))
    assert "what comes in is read by each device as a whole" in reasons["attn.out"]
    assert reasons["attn.qkv"] == reasons["attn.out"]


def test_tables_are_split_with_their_heads() -> None:
    plan = TensorPlan(swin().program, 2)
    assert plan.tables["layers.0.0.attn.table"] == 1
    assert plan.axes["layers.0.0.attn.table"] == 1
    # A table that something else reads stays whole, and shares are taken of it.
    text = BIASED.replace("bias: [1, _, T, T], ", "").replace(
        "  q, k, v", "  table = Param([4, 5, 5]) ; bias = unsqueeze(table, 0) ; q, k, v"
    )
    text = text.replace("(x, %s) -> attn", "x -> attn")
    assert TensorPlan(program_of(text), 2).tables == {"attn.table": 0}
    other = text.replace("out: Linear(D)", "out: Linear(D) -> add(mean(table))")
    assert TensorPlan(program_of(other), 2).tables == {}
    assert len(parts_of(other)) == 1


def test_layers_that_stay_whole_have_a_reason() -> None:
    reasons = reasons_of(TensorPlan(bert().program, 4))
    assert reasons["pooler"] == (
        "`norm2` (LayerNorm) is in the way, whose weights are not split"
    )
    assert reasons["places"] == (
        "it looks up what the model computes, and not what it is given"
    )
    assert reasons["layers.0.norm1"] == NOT_A_KIND
    reasons = reasons_of(TensorPlan(llama().program, 4))
    assert (
        reasons["layers.0.attn.q_proj"] == "4 devices do not divide 2 heads or features"
    )
    for plan in (TensorPlan(swin().program, 2), TensorPlan(t5().program, 4)):
        told = {*plan.styles, *plan.tables, *reasons_of(plan)}
        for path in weights_of(plan.program):
            assert path in told or path.rpartition(".")[0] in told, path


def test_what_does_not_divide_stays_whole() -> None:
    program = llama().program
    styles = TensorPlan(program, 4).styles
    assert {s for p, s in styles.items() if ".attn." in p} == set()
    assert styles["layers.0.mlp.down_proj"] is Style.ROWS
    assert styles["layers.0.mlp"] is Style.ENTERING
    text = emit_mesh(program, MeshShape(tensor=4))
    assert "layers.*.attn.q_proj" in text.partition("Whole in every process:")[2]
    assert '"layers.*.mlp.down_proj": RowwiseParallel()' in text


@pytest.mark.parametrize(
    ("path", "name", "parts"),
    [
        ("vision/vit", "ViTB16", 24),
        ("language/gpt2", "GPT2Small", 24),
        ("language/llama", "Llama3_8B", 64),
        ("language/transformer", "TransformerBase", 30),
        ("language/bert", "BERTBase", 24),
        ("language/t5", "T5Small", 30),
        ("vision/swin", "SwinT", 24),
    ],
)
def test_transformers_are_split(path: str, name: str, parts: int) -> None:
    spec = nnspec.load(str(ROOT / f"specs/{path}.nns"), name)
    assert len(split_layers(spec.program)) == parts


# ---- shapes, against the elements themselves ----------------------------------------------------------


def share(x: Any, divided: Divided, place: int) -> Any:
    """The part of an array that one of two devices has."""
    before, size, behind = (
        x.shape[: divided.axis],
        x.shape[divided.axis],
        x.shape[divided.axis + 1 :],
    )
    parts = x.reshape(
        *before, divided.stretches, 2, size // divided.stretches // 2, *behind
    )
    return parts.take(place, axis=divided.axis + 1).reshape(*before, size // 2, *behind)


SHAPES = [
    (4, 6),
    (24,),
    (2, 12),
    (4, 2, 3),
    (2, 2, 6),
    (6, 4),
    (1, 24),
    (4, 6, 1),
    (2, 3, 4),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_reshaped_shares_are_shares_of_what_is_reshaped(shape: tuple[int, ...]) -> None:
    """Wherever a rule names an axis of the input, elements are the same; and it names one where it can."""
    import numpy as np

    x, found = np.arange(24).reshape(shape), 0
    kind = TensorType(tuple(map(dim, shape)))
    for result in SHAPES:
        op = Reshape(shape=tuple(map(dim, result)))
        for axis, size in enumerate(result):
            for stretches in (1, 2, 3):
                if size % (2 * stretches):
                    continue
                divided = Divided(axis, stretches)
                behind = axes_behind(op, [kind], [op.infer(kind)], 0, divided)
                if behind is None:
                    continue
                (own,) = behind
                assert own is not None
                if shape[own.axis] // own.stretches % 2:
                    continue  # the number of devices has to divide both
                opened = with_share_open(op, kind, divided)
                assert isinstance(opened, Reshape)
                sizes = [int(each) for each in opened.shape]
                for place in (0, 1):
                    part = share(x, own, place).reshape(sizes)
                    assert (part == share(x.reshape(result), divided, place)).all()
                found += 1
    assert found


def softmax(x: Any) -> Any:
    import numpy as np

    powers = np.exp(x)
    return powers / powers.sum(axis=1, keepdims=True)


def operators() -> list[tuple[Operator, list[tuple[int, ...]], Any, set[int]]]:
    """Operators, the shapes of what they read, what they compute, and the axes that cannot be divided."""
    import numpy as np

    names = "b h t d, b s h d -> b h t s"
    return [
        (Matmul(), [(2, 4, 6, 8), (2, 4, 8, 2)], np.matmul, set()),
        (Matmul(), [(4, 6, 8), (2, 4, 8, 2)], np.matmul, set()),
        (Matmul(), [(2, 1, 6, 8), (4, 8, 2)], np.matmul, set()),
        (
            Einsum(pattern=names),
            [(2, 4, 6, 8), (2, 2, 4, 8)],
            lambda x, y: np.einsum("bhtd,bshd->bhts", x, y),
            set(),
        ),
        (Mean(dim=dim(1)), [(2, 4, 6)], lambda x: x.mean(axis=1), set()),
        (
            Mean(dim=dim(1), keep=True),
            [(2, 4, 6)],
            lambda x: x.mean(axis=1, keepdims=True),
            set(),
        ),
        (Softmax(dim=dim(1)), [(2, 4, 6)], softmax, {1}),
        (
            Take(dim=dim(1)),
            [(2, 6, 4), (2, 4)],
            lambda x, index: x[:, index],
            set(),
        ),
        (
            Broadcast(shape=(dim(2), dim(4), dim(6))),
            [(4, 1)],
            lambda x: np.broadcast_to(x, (2, len(x), 6)),
            {0, 2},
        ),
    ]


@pytest.mark.parametrize("case", range(9))
def test_operators_on_shares_give_shares(case: int) -> None:
    import numpy as np

    op, shapes, compute, whole = operators()[case]
    draw = np.random.default_rng(case)
    inputs = [draw.normal(size=shape) * 3 for shape in shapes]
    kinds = [TensorType(tuple(map(dim, shape))) for shape in shapes]
    if isinstance(op, Take):
        inputs[1] = draw.integers(0, 6, shapes[1])
        kinds[1] = TensorType(kinds[1].shape, DType.I64)
    (result,) = results_of(op, [tuple(kinds)] if isinstance(op, Einsum) else kinds)
    for axis in range(result.rank):
        if int(result.shape[axis]) % 2:
            continue
        behind = axes_behind(op, kinds, [result], 0, Divided(axis))
        assert (behind is None) is (axis in whole), axis
        for place in (0, 1) if behind is not None else ():
            own = [
                x if each is None else share(x, each, place)
                for x, each in zip(inputs, behind or (), strict=True)
            ]
            wanted = share(compute(*inputs), Divided(axis), place)
            assert np.allclose(compute(*own), wanted, rtol=1e-12, atol=1e-12), axis


@pytest.mark.parametrize(
    "operator",
    [OwnTable(), Summed(), OwnShare(axis=dim(0)), ApartDropout(rate=0.5)],
    ids=lambda each: type(each).__name__,
)
def test_operators_of_the_engine_have_no_form_in_keras(operator: Operator) -> None:
    with pytest.raises(OpError, match="has no form in Keras"):
        operator.keras(create_autospec(Io, instance=True))
