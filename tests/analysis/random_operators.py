"""Random models of operators one behind another: sequences, images and volumes, with tensors that lie in any order of axes.

Each step takes one of the values so far and applies an operator to it; what nothing reads is left in, as people leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
"""The sizes behind the batch."""

Step: TypeAlias = Callable[[Random, str, Shape], tuple[str, Shape] | None]
"""An expression of a value and its shape; None where it has no such operator."""

UNARY = (
    "relu", "gelu", 'gelu(approximate="tanh")', "silu", "sigmoid", "tanh", "exp", "softplus", "leaky_relu",
    "elu", "selu", "celu", "mish", "hard_silu", "hard_sigmoid", "relu6", "abs", "sin", "cos", "softmax(dim=-1)",
    "log_softmax(dim=1)", "clip(-1.0, 1.0)", "log_sigmoid", "erf", "negative", "hardtanh", "sign", "round", "square",
    "soft_shrink", "hard_shrink", "softsign", "tanh_shrink", "expm1", "l2_normalize(dim=-1)", "PReLU", "Dropout(0.1)",
    "DropPath(0.1)", "Identity", "roll(1, dim=1)", "roll(-1, dim=-1)", "flip(-1)", "flip(1)", "cumsum(dim=1)",
    "cumsum(dim=-1)", "sort(dim=-1)",
)  # fmt: skip

SAME = (
    "{x} * 0.5", "sqrt(abs({x}) + 1.0)", "log(exp({x}) + 1.0)", "where({x} > 0.0, {x}, {x} * 0.1)",
    "where({x} > mean({x}, dim=-1, keep=true), {x}, 0.0)", "{x} * mean({x}, dim=-1, keep=true)",
    "{x} * mean({x}, dim=1, keep=true)", "{x} - max({x}, dim=1, keep=true)", "{x} - min({x}, dim=-1, keep=true)",
    "{x} + logsumexp({x}, dim=1, keep=true)", "{x} * var({x}, dim=-1, keep=true)", "{x} * std({x}, dim=1, keep=true)",
    "{x} / (norm({x}, dim=-1, keep=true) + 1.0)", "power(abs({x}) + 0.5, 1.5)", "maximum({x}, {x} * 0.5)",
    "minimum({x}, sin({x}))", "cast({x} > 0.0, float) * {x}", "{x} + ({x} -> tanh)",
)  # fmt: skip


def unary(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    return f"{x} -> {random.choice(UNARY)}", shape


def same(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    return random.choice(SAME).format(x=x), shape


def twice(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    """Put together along an axis, cut off, or laid side by side and added up."""
    axis = random.randint(1, len(shape))
    size = shape[axis - 1]
    form = random.choice(("concat", "mixed", "stack", "repeat", "slice"))
    if form == "slice" and size > 3:
        begin = random.randint(0, size // 2)
        end = random.randint(begin + 2, size)
        taken = ", ".join([":"] * axis)
        return f"{x}[{taken}, {begin}:{end}]", _with(shape, axis, end - begin)
    if form == "stack":
        place = random.randint(1, len(shape) + 1)
        return f"stack([{x}, {x}], dim={place}) -> mean(dim={place})", shape
    if size > 12:
        return None
    if form == "repeat":
        return f"repeat({x}, 2, dim={axis})", _with(shape, axis, 2 * size)
    other = x if form == "concat" else f"({x} -> relu)"
    return f"concat([{x}, {other}], dim={axis})", _with(shape, axis, 2 * size)


def halved(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    axis = random.randint(1, len(shape))
    if shape[axis - 1] % 2:
        return None
    return f"{x} -> glu(dim={axis})", _with(shape, axis, shape[axis - 1] // 2)


def _with(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[: axis - 1], size, *shape[axis:])


# ---- sequences: [B, T, D] -------------------------------------------------------------------------------


def dense(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    width = random.choice((4, 6, 8))
    bias = random.choice(("", ", bias=false"))
    return f"{x} -> Linear({width}{bias})", (shape[0], width)


def placed_norm(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    norm = random.choice(("LayerNorm", "RMSNorm", "LayerNorm(affine=false)"))
    return f"{x} -> {norm}", shape


def heads(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    if shape[1] % 2:
        return None
    cut = 'rearrange("b t (h d) -> b h t d", h=2)'
    joined = 'rearrange("b h t d -> b t (h d)")'
    if random.random() < 0.4:
        inside = random.choice(
            ("relu", "softmax(dim=-1)", "LayerNorm", "cumsum(dim=2)")
        )
        return f"{x} -> {cut} -> {inside} -> {joined}", shape
    given = ", ".join(f"({x} -> Linear({shape[1]}) -> {cut})" for _ in range(3))
    causal = random.choice(("", ", causal=true"))
    return f"attention({given}{causal}) -> {joined}", shape


def scores(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    if random.random() < 0.5:
        turned = f'rearrange({x}, "b t d -> b d t")'
        return f"matmul(softmax(matmul({x}, {turned}), dim=-1), {x})", shape
    weight = f"Param([{shape[1]}, 5], init=init.normal(1.0))"
    return f'einsum("b t d, d e -> b t e", {x}, {weight})', (shape[0], 5)


def over_time(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    """What works on channels first, of a sequence that has them last."""
    inside, length = random.choice(
        (
            (f"Conv({shape[1]}, 3, padding=1)", shape[0]),
            ("BatchNorm", shape[0]),
            ("GroupNorm(1)", shape[0]),
            ("InstanceNorm", shape[0]),
            ("max_pool(3, stride=1, padding=1)", shape[0]),
            ("avg_pool(3, stride=1, padding=1)", shape[0]),
            ("pad([1, 2])", shape[0] + 3),
        )
    )
    turned = 'rearrange("b t d -> b d t")'
    back = 'rearrange("b d t -> b t d")'
    return f"{x} -> {turned} -> {inside} -> {back}", (length, shape[1])


SEQUENCES: Sequence[Step] = (
    *(unary,) * 5, *(same,) * 4, *(twice,) * 2, halved, *(dense,) * 2, *(placed_norm,) * 2, *(heads,) * 2, scores,
    *(over_time,) * 4,
)  # fmt: skip


# ---- images and volumes: [B, C, *S] ---------------------------------------------------------------------


def convolution(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    channels, *sizes = shape
    kernel = random.choice((1, 3))
    dilation = random.choice((1, 1, 2)) if kernel > 1 else 1
    stride = random.choice((1, 1, 2)) if min(sizes) > 4 else 1
    padding = dilation * (kernel - 1) // 2
    groups = random.choice((1, 1, channels))
    width = channels if groups > 1 else random.choice((3, 4, 6))
    found = [(size - 1) // stride + 1 for size in sizes]
    options = (
        f"stride={stride}, padding={padding}, dilation={dilation}, groups={groups}"
    )
    return f"{x} -> Conv({width}, {kernel}, {options})", (width, *found)


def transposed(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    if max(shape[1:]) > 8:
        return None
    channels, *sizes = shape
    return f"{x} -> ConvTranspose({channels}, 2, stride=2)", (
        channels,
        *(2 * size for size in sizes),
    )


def channel_norm(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    norm = random.choice(("BatchNorm", "GroupNorm(1)", "InstanceNorm"))
    return f"{x} -> {norm}", shape


def pool(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    channels, *sizes = shape
    if min(sizes) < 4:
        return None
    kind = random.choice(("max_pool", "avg_pool"))
    if random.random() < 0.5:
        return f"{x} -> {kind}(2)", (channels, *(size // 2 for size in sizes))
    found = ((size - 1) // 2 + 1 for size in sizes)
    return f"{x} -> {kind}(3, stride=2, padding=1)", (channels, *found)


def sampled(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    channels, *sizes = shape
    if max(sizes) > 8:
        return None
    method = random.choice(("nearest", "bilinear"))
    found = [size + 1 for size in sizes]
    return f'{x} -> resize({found}, method="{method}")', (channels, *found)


def gated(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    axes = list(range(2, len(shape) + 1))
    pooled = f"({x} -> mean(dim={axes}, keep=true) -> Conv({shape[0]}, 1) -> sigmoid)"
    return f"{x} * {pooled}", shape


def channels_last(random: Random, x: str, shape: Shape) -> tuple[str, Shape]:
    """What works on the last axis, of an image that has its channels first."""
    inside = random.choice(
        ("LayerNorm", f"Linear({shape[0]}) -> gelu", "softmax(dim=-1)", "tanh")
    )
    axes = "h w u"[: 2 * len(shape) - 3]
    turned = f'rearrange("b c {axes} -> b {axes} c")'
    return (
        f'{x} -> {turned} -> {inside} -> rearrange("b {axes} c -> b c {axes}")',
        shape,
    )


def shuffled(random: Random, x: str, shape: Shape) -> tuple[str, Shape] | None:
    channels, *sizes = shape
    if len(sizes) == 2 and not sizes[0] % 2 and not sizes[1] % 2 and channels < 5:
        return f"pixel_unshuffle({x}, 2)", (
            4 * channels,
            sizes[0] // 2,
            sizes[1] // 2,
        )
    if channels % 2:
        return None
    axes = "h w u"[: 2 * len(sizes) - 1]
    return f'{x} -> rearrange("b (g c) {axes} -> b (c g) {axes}", g=2)', shape


IMAGES: Sequence[Step] = (
    *(unary,) * 4, *(same,) * 3, *(twice,) * 2, halved, *(convolution,) * 4, transposed, *(channel_norm,) * 3,
    *(pool,) * 2, sampled, gated, *(channels_last,) * 4, shuffled,
)  # fmt: skip

# PyTorch chooses the kernels of three-dimensional convolutions by the number of threads, and these how results lie.
VOLUMES = [each for each in IMAGES if each not in (convolution, transposed, gated)]

KINDS: dict[str, tuple[Shape, Sequence[Step]]] = {
    "sequence": ((5, 6), SEQUENCES),
    "image": ((3, 8, 6), IMAGES),
    "volume": ((4, 4, 6, 5), VOLUMES),
}


def random_operators(kind: str, seed: int) -> str:
    """The text of a model."""
    random = Random(f"{kind} {seed}")
    first, steps = KINDS[kind]
    values: dict[str, Shape] = {"x": first}
    sizes = ", ".join(map(str, first))
    lines = [f"  input x: [B, {sizes}]"]
    if kind == "sequence":
        # What watches a program changes the kernel of a pool that needs no gradient.
        lines.append("  v1 = x -> Linear(6)")
        values["v1"] = first
    while len(values) < random.randint(5, 14):
        name = random.choice(list(values)[-3:])
        found = random.choice(steps)(random, name, values[name])
        if found is not None:
            made = f"v{len(values)}"
            lines.append(f"  {made} = {found[0]}")
            values[made] = found[1]
    ends = [list(values)[-1], *random.sample(list(values)[1:-1], random.randint(0, 1))]
    lines += [f"  output y{i} = {name} -> Linear(2)" for i, name in enumerate(ends)]
    return "\n".join(["model M {", *lines, "}"])
