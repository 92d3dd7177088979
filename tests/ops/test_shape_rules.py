"""Types of results, and what is refused, of operators on shapes, patterns, products and sequences."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.types import DType, TensorType, tensor
from nnspec.ops import OPS
from nnspec.ops.base import OpError
from nnspec.ops.checked import FieldError
from nnspec.ops.slicing import Range

B, T, S, H = symbol("B"), symbol("T"), symbol("S"), symbol("H")
EVEN = symbol("E", 2)
WHOLE = Range()


def make(op: str, **fields: Any) -> Any:
    """An operator with its arguments."""
    return OPS[op](**fields)


def truth(*shape: int | Dim) -> TensorType:
    return tensor(*shape, dtype=DType.BOOL)


def i64(*shape: int | Dim) -> TensorType:
    return tensor(*shape, dtype=DType.I64)


def part(
    start: int | Dim | None = None, stop: int | Dim | None = None, step: int = 1
) -> Range:
    first, last = (None if bound is None else dim(bound) for bound in (start, stop))
    return Range(first, last, dim(step))


def rearranging(pattern: str, x: TensorType, **sizes: int | Dim) -> tuple[Any, ...]:
    return ("rearrange", {"pattern": pattern, "sizes": sizes}, [x])


def slicing(x: TensorType, *items: int | Range) -> tuple[Any, ...]:
    taken = tuple(i if isinstance(i, Range) else dim(i) for i in items)
    return ("slicing", {"items": taken}, [x])


def summing(pattern: str, *xs: TensorType) -> tuple[Any, ...]:
    return ("einsum", {"pattern": pattern}, [xs])


def attending(
    *inputs: TensorType | None, q: TensorType | None = None, **fields: Any
) -> tuple[Any, ...]:
    return ("attention", fields, [q or Q, *inputs, *[None] * (4 - len(inputs))])


Q, KEYS = tensor(B, 8, T, 4), tensor(B, 8, S, 4)

RESULTS: list[tuple[Any, ...]] = [
    ("reshape", {"shape": [B * T, -1]}, [tensor(B, T, 6)], "[B * T, 6]"),
    ("reshape", {"shape": [B, EVEN // 2, 2]}, [tensor(B, EVEN)], "[B, E // 2, 2]"),
    ("flatten", {}, [tensor(B, 3, T)], "[B, 3 * T]"),
    ("flatten", {"start": 0, "stop": 0}, [tensor(B, 3)], "[B, 3]"),
    ("transpose", {}, [tensor(B, T, 3)], "[B, 3, T]"),
    ("transpose", {"order": [-1, 0, 1]}, [tensor(B, T, 3)], "[3, B, T]"),
    ("unsqueeze", {"dim": [1, -1]}, [truth(B, T)], "bool[B, 1, T, 1]"),
    ("squeeze", {"dim": -2}, [tensor(B, 1, T)], "[B, T]"),
    ("broadcast", {"shape": [B, T, 3]}, [tensor(1, 3)], "[B, T, 3]"),
    ("concat", {"dim": 1}, [(tensor(B, T, 3), tensor(B, S, 3))], "[B, S + T, 3]"),
    ("concat", {"dim": -1}, [(tensor(3), tensor(4, dtype=DType.F32))], "[7]"),
    ("stack", {"dim": 1}, [(tensor(B, 3), tensor(B, 3))], "[B, 2, 3]"),
    ("roll", {"shift": T, "dim": 1}, [tensor(B, T)], "[B, T]"),
    ("flip", {"dim": [0, 1]}, [tensor(B, T)], "[B, T]"),
    ("repeat", {"times": H, "dim": 1}, [tensor(B, T)], "[B, H * T]"),
    (*slicing(tensor(B, T, 5), WHOLE, -1, part(1)), "[B, 4]"),
    (*slicing(tensor(B, T), WHOLE, part(2, -1)), "[B, T - 3]"),
    (*slicing(tensor(B, T), WHOLE, part(-3)), "[B, 3]"),
    (*slicing(tensor(B, T), WHOLE, part(None, None, 2)), "[B, (T + 1) // 2]"),
    (*slicing(tensor(1024, 3), part(None, T), WHOLE), "[T, 3]"),
    (*slicing(tensor(7), part(5, 90)), "[2]"),
    (
        *rearranging("b t (n h d) -> n b h t d", tensor(B, T, 24), n=3, h=4),
        "[3, B, 4, T, 2]",
    ),
    (
        *rearranging("b (h p) c -> (b h) p c", tensor(B, EVEN, 3), p=2),
        "[B * (E // 2), 2, 3]",
    ),
    (*rearranging("... (a b) -> ... b a", tensor(B, T, 6), a=2), "[B, T, 3, 2]"),
    (*rearranging("a (b c) -> (b c) a", tensor(B, 7)), "[7, B]"),
    (*summing("b t e, b t d -> b e d", tensor(B, T, 3), tensor(B, T, 4)), "[B, 3, 4]"),
    ("matmul", {}, [tensor(B, 1, T, 3), tensor(H, 3, 5)], "[B, H, T, 5]"),
    ("matmul", {}, [tensor(3), tensor(B, 3, T)], "[B, T]"),
    ("matmul", {}, [tensor(T), tensor(T)], "[]"),
    (*attending(tensor(B, 2, S, 4), tensor(B, 2, S, 7)), "[B, 8, T, 7]"),
    (*attending(KEYS, KEYS, truth(B, 1, 1, S), tensor(8, T, S)), "[B, 8, T, 4]"),
    (
        "LSTM",
        {"hidden": H, "bidirectional": True},
        [tensor(B, T, 3), None, None],
        "[B, T, 2 * H]",
    ),
    ("GRU", {"hidden": 5, "returns": "last"}, [tensor(B, T, 3), None], "[B, 5]"),
    ("GRUCell", {"hidden": 5}, [tensor(B, 3), tensor(B, 5)], "[B, 5]"),
]


@pytest.mark.parametrize(("op", "fields", "inputs", "expected"), RESULTS)
def test_result(op: str, fields: Any, inputs: Any, expected: str) -> None:
    assert str(make(op, **fields).infer(*inputs)) == expected


SEVERAL = [
    ("unstack", {"dim": 1}, [tensor(B, 2, T)], ["[B, T]", "[B, T]"]),
    ("split", {"sizes": 2}, [tensor(B, EVEN)], ["[B, E // 2]", "[B, E // 2]"]),
    ("split", {"sizes": [1, T]}, [tensor(B, T + 1)], ["[B, 1]", "[B, T]"]),
    (
        "LSTM",
        {"hidden": 5, "layers": 2, "returns": "all"},
        [tensor(B, T, 3), None, None],
        ["[B, T, 5]", "[2, B, 5]", "[2, B, 5]"],
    ),
    (
        "SimpleRNN",
        {"hidden": 5, "bidirectional": True, "returns": "all"},
        [tensor(B, T, 3), None],
        ["[B, T, 10]", "[2, B, 5]"],
    ),
    (
        "LSTMCell",
        {"hidden": 5},
        [tensor(B, 3), tensor(B, 5), tensor(B, 5)],
        ["[B, 5]"] * 2,
    ),
]


@pytest.mark.parametrize(("op", "fields", "inputs", "expected"), SEVERAL)
def test_results(op: str, fields: Any, inputs: Any, expected: list[str]) -> None:
    results = make(op, **fields).infer(*inputs)
    assert isinstance(results, tuple)
    assert [str(result) for result in results] == expected


def test_sizes_keep_what_the_spec_wrote() -> None:
    width, heads = symbol("width"), symbol("heads")
    x = TensorType((B, T, dim(64).named(width)))
    split = make(
        "rearrange", pattern="b t (h d) -> b h t d", sizes={"h": dim(8).named(heads)}
    )
    shape = split.infer(x).shape
    assert (shape[1].generic, shape[3].generic) == (heads, width // heads)
    flat = make("flatten").infer(
        TensorType((B, dim(3).named(heads), dim(64).named(width)))
    )
    assert flat.shape[1] == 192
    assert flat.shape[1].generic == heads * width


def test_what_a_slice_needs_of_the_symbols() -> None:
    x = tensor(B, T, 16)
    items = (WHOLE, part(-3), part(None, S))
    needs = make("slicing", items=items).implied(x)
    assert needs == (T - 2, 17 - S)
    assert make("slicing", items=(WHOLE, dim(4), WHOLE)).implied(x) == (T - 4,)
    assert make("slicing", items=(WHOLE, WHOLE, part(3, 99))).implied(x) == ()


def test_the_end_from_which_a_place_with_symbols_is_counted() -> None:
    """`x[:, 1 - T:]` counts from the end, for lengths of at least 2."""
    x = tensor(B, T, 16)

    def sliced(*items: int | Dim | Range) -> tuple[str, tuple[Dim, ...]]:
        op = make("slicing", items=items)
        return str(op.infer(x)), op.implied(x)

    shape, needs = sliced(WHOLE, Range(1 - T, None), WHOLE)
    assert (shape, needs) == ("[B, T - 1, 16]", (T - 1, dim(2)))
    shape, needs = sliced(WHOLE, Range(None, T - 1), WHOLE)
    assert (shape, needs) == ("[B, T - 1, 16]", (T, dim(2)))
    shape, needs = sliced(WHOLE, Range(S - T, None), WHOLE)
    assert (shape, needs) == ("[B, 2 * T - S, 16]", (S - T + 1, 2 * T - S + 1))
    assert sliced(WHOLE, S - T, WHOLE) == ("[B, 16]", (S - T + 1, 2 * T - S))


# Figures of known networks: (operator, fields) to FLOPs and parameters on [1, 60, 64].
RECURRENT = [
    ("LSTM", {"layers": 2}, 27525120, 231424),
    ("LSTM", {"layers": 2, "bidirectional": True}, 70778880, 593920),
    ("GRU", {"layers": 2}, 20643840, 173568),
]


@pytest.mark.parametrize(("op", "fields", "flops", "parameters"), RECURRENT)
def test_recurrent_cost(op: str, fields: Any, flops: int, parameters: int) -> None:
    operator, x = make(op, hidden=128, **fields), tensor(1, 60, 64)
    assert operator.flops(x) == flops
    shapes = [weight.shape for weight in operator.weights(x).values()]
    assert sum(int(TensorType(shape).elements) for shape in shapes) == parameters


def test_attention_cost() -> None:
    q, k, v = tensor(2, 8, 5, 4), tensor(2, 2, 7, 4), tensor(2, 2, 7, 3)
    for causal in (False, True):
        assert make("attention", causal=causal).flops(q, k, v) == 2 * 16 * 5 * 7 * (
            4 + 3
        )


WRONG: list[tuple[Any, ...]] = [
    ("reshape", {"shape": [-1, -1]}, [tensor(6)], "E0409", "shape"),
    ("reshape", {"shape": [0, 6]}, [tensor(6)], "E0408", "shape"),
    ("reshape", {"shape": [2, 4]}, [tensor(6)], "E0406", "shape"),
    ("reshape", {"shape": [-1, 2]}, [tensor(B, T)], "E0406", "shape"),
    ("flatten", {"start": 2, "stop": 1}, [tensor(2, 3, 4)], "E0402", "start"),
    ("flatten", {}, [tensor(3)], "E0402", "start"),
    ("transpose", {}, [tensor(3)], "E0403", "x"),
    ("transpose", {"order": [0, 0]}, [tensor(2, 3)], "E0402", "order"),
    ("transpose", {"order": [0]}, [tensor(2, 3)], "E0402", "order"),
    ("unsqueeze", {"dim": 3}, [tensor(2, 3)], "E0402", "dim"),
    ("unsqueeze", {"dim": []}, [tensor(2, 3)], "E0402", "dim"),
    ("squeeze", {"dim": 1}, [tensor(2, 3)], "E0406", "dim"),
    ("squeeze", {"dim": 0}, [tensor(B, 3)], "E0406", "dim"),
    ("broadcast", {"shape": [3]}, [tensor(1, 3)], "E0411", "shape"),
    ("broadcast", {"shape": [2, 4]}, [tensor(1, 3)], "E0411", "shape"),
    ("broadcast", {"shape": [0, 3]}, [tensor(3)], "E0408", "shape"),
    ("concat", {"dim": 0}, [()], "E0409", "xs"),
    ("concat", {"dim": 2}, [(tensor(2, 3),)], "E0402", "dim"),
    ("concat", {"dim": 0}, [(tensor(2, 3), tensor(2))], "E0403", "xs"),
    ("concat", {"dim": 0}, [(tensor(2, 3), tensor(2, 4))], "E0406", "xs"),
    ("concat", {"dim": 0}, [(tensor(2), i64(2))], "E0405", None),
    ("stack", {}, [(tensor(2, 3), tensor(2, 4))], "E0406", "xs"),
    ("unstack", {}, [tensor(B, 3)], "E0402", "dim"),
    ("split", {"sizes": 2}, [tensor(2, 5)], "E0407", "sizes"),
    ("split", {"sizes": 2}, [tensor(2, T)], "E0407", "sizes"),
    ("split", {"sizes": T}, [tensor(2, 4)], "E0409", "sizes"),
    ("split", {"sizes": [2, 2]}, [tensor(2, 5)], "E0406", "sizes"),
    ("split", {"sizes": [5, 0]}, [tensor(2, 5)], "E0408", "sizes"),
    ("split", {"sizes": []}, [tensor(2, 5)], "E0408", "sizes"),
    ("roll", {"shift": [1, 2], "dim": 0}, [tensor(3, 4)], "E0409", "shift"),
    ("roll", {"shift": [1, 2], "dim": [0, -2]}, [tensor(3, 4)], "E0402", "dim"),
    ("flip", {"dim": []}, [tensor(3, 4)], "E0402", "dim"),
    ("repeat", {"times": 2, "dim": 2}, [tensor(3, 4)], "E0402", "dim"),
    (*slicing(tensor(3, 4), 3, WHOLE), "E0402", None),
    (*slicing(tensor(3, 4), WHOLE, part(4)), "E0408", None),
    (*slicing(tensor(3, 4), WHOLE, part(0, 4, -1)), "E0409", None),
    (*slicing(tensor(3, 4), WHOLE), "E0403", None),
    (*rearranging("a b", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a b -> a", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a b -> a b c", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a a -> a", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a b -> (a b", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a b -> ((a b))", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a, b -> b a", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a b c -> c b a", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a b c ... -> ... a b c", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a ... -> a", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a (...) -> a ...", tensor(2, 3)), "E0410", "pattern"),
    (*rearranging("a (b c) -> b a c", tensor(2, 6)), "E0410", "pattern"),
    (*rearranging("a (b c) -> b a c", tensor(2, 6), b=4), "E0410", "sizes"),
    (*rearranging("a (b c) -> b a c", tensor(2, T), b=2), "E0410", "sizes"),
    (*rearranging("a (b c) -> b a c", tensor(2, 6), b=2, c=4), "E0410", "pattern"),
    (*rearranging("a (b c) -> b a c", tensor(2, 6), b=0), "E0410", "sizes"),
    (*rearranging("a b -> b a", tensor(2, 6), a=3), "E0410", "pattern"),
    (*rearranging("a b -> b a", tensor(2, 6), z=3), "E0410", "pattern"),
    (*rearranging("a 1 -> a", tensor(2, 6)), "E0410", "pattern"),
    (*summing("a b", tensor(2, 3)), "E0410", "pattern"),
    (*summing("a b, b -> a", tensor(2, 3)), "E0410", "pattern"),
    (*summing("ab, bc -> ac", tensor(2, 3), tensor(3, 4)), "E0410", "pattern"),
    (*summing("a b, b c -> a c", tensor(2, 3), tensor(4, 5)), "E0410", "pattern"),
    (*summing("a b -> c", tensor(2, 3)), "E0410", "pattern"),
    (*summing("a a -> a", tensor(2, 2)), "E0410", "pattern"),
    (*summing("a 2 -> a", tensor(2, 2)), "E0410", "pattern"),
    (*summing("a b -> a", i64(2, 3)), "E0404", "xs"),
    ("matmul", {}, [tensor(2, 3), tensor(2, 3)], "E0406", "y"),
    ("matmul", {}, [tensor(2, 3, 3), tensor(4, 3, 3)], "E0411", "y"),
    ("matmul", {}, [tensor(), tensor(3)], "E0403", "x"),
    ("matmul", {}, [i64(3), tensor(3)], "E0404", "x"),
    (*attending(tensor(B, S, 4), tensor(B, S, 4), q=tensor(T, 4)), "E0403", "q"),
    (*attending(tensor(B, 8, S, 5), KEYS), "E0406", "k"),
    (*attending(tensor(H, 8, S, 4), KEYS), "E0406", "k"),
    (*attending(tensor(B, 3, S, 4), tensor(B, 3, S, 4)), "E0407", "k"),
    (*attending(KEYS, tensor(B, 8, T, 4)), "E0406", "v"),
    (*attending(KEYS, KEYS, tensor(B, 1, 1, S)), "E0404", "mask"),
    (*attending(KEYS, KEYS, truth(B, S)), "E0411", "mask"),
    (*attending(KEYS, KEYS, truth(1, B, 8, T, S)), "E0411", "mask"),
    (*attending(KEYS, KEYS, None, truth(T, S)), "E0404", "bias"),
    (*attending(KEYS, KEYS, None, tensor(T, S, dtype=DType.F16)), "E0405", "bias"),
    ("LSTM", {"hidden": 5}, [tensor(B, 3), None, None], "E0403", "x"),
    ("LSTM", {"hidden": 5}, [i64(B, T, 3), None, None], "E0404", "x"),
    ("LSTM", {"hidden": 5}, [tensor(B, T, 3), tensor(1, B, 5), None], "E0409", "c"),
    ("LSTM", {"hidden": 5}, [tensor(B, T, 3), None, tensor(1, B, 5)], "E0409", "h"),
    ("GRU", {"hidden": 5}, [tensor(B, T, 3), tensor(B, 5)], "E0406", "h"),
    ("GRU", {"hidden": 5, "layers": H}, [tensor(B, T, 3), None], "E0409", "layers"),
    (
        "LSTMCell",
        {"hidden": 5},
        [tensor(B, 3), tensor(B, 4), tensor(B, 5)],
        "E0406",
        "h",
    ),
    ("GRUCell", {"hidden": 5}, [tensor(B, T, 3), tensor(B, 5)], "E0403", "x"),
]


@pytest.mark.parametrize(("op", "fields", "inputs", "code", "blamed"), WRONG)
def test_refused(
    op: str, fields: Any, inputs: Any, code: str, blamed: str | None
) -> None:
    with pytest.raises(OpError) as caught:
        make(op, **fields).infer(*inputs)
    error = caught.value
    assert (error.code, error.param or error.input) == (code, blamed)
    assert error.hint


BAD_FIELDS = [
    ("attention", {"dropout": 1.0}),
    ("LSTM", {"hidden": 0}),
    ("LSTM", {"hidden": 4, "layers": 0}),
    ("GRU", {"hidden": 4, "returns": "first"}),
    ("SimpleRNN", {"hidden": 4, "activation": "gelu"}),
    ("repeat", {"times": 0, "dim": 1}),
]


@pytest.mark.parametrize(("op", "fields"), BAD_FIELDS)
def test_bad_argument(op: str, fields: dict[str, Any]) -> None:
    with pytest.raises(FieldError):
        make(op, **fields)
