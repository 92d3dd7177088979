"""Helper functions that emitted Keras files define when they need them. Read as text, never imported."""

from __future__ import annotations

import keras
from keras import initializers, layers, ops


def dense(units: int, inputs: int, *, name: str) -> layers.Dense:
    """Affine map, weights and bias uniform within 1 / sqrt(inputs)."""
    bound = inputs**-0.5
    return layers.Dense(
        units,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        name=name,
    )


def embedding(entries: int, width: int, *, name: str) -> layers.Embedding:
    """Rows drawn from N(0, 1)."""
    normal = initializers.RandomNormal(stddev=1.0)
    return layers.Embedding(entries, width, embeddings_initializer=normal, name=name)


def top_k(x, k: int, axis: int = -1):
    """The k greatest elements along an axis, in descending order, and their places."""
    if axis in (-1, x.ndim - 1):
        values, indices = ops.top_k(x, k)
        return values, ops.cast(indices, "int64")
    values, indices = ops.top_k(ops.moveaxis(x, axis, -1), k)
    indices = ops.cast(ops.moveaxis(indices, -1, axis), "int64")
    return ops.moveaxis(values, -1, axis), indices


def gather(x, index, axis: int):
    """Elements of one axis, looked up for each place of the axes before it."""
    sizes, rest = ops.shape(index), ops.shape(x)[axis + 1 :]
    places = 1
    for size in sizes[axis:]:
        places = places * size
    shape = (-1, *sizes[1:axis], places, *(1 for _ in rest))
    found = ops.take_along_axis(x, ops.reshape(index, shape), axis=axis)
    return ops.reshape(found, (-1, *sizes[1:], *rest))


def scatter_add(x, index, updates, axis: int):
    """Adds to elements of one axis, for each place of the axes before it."""
    size, rest = ops.shape(x)[axis], ops.shape(x)[axis + 1 :]
    places = 1
    for count in ops.shape(index)[axis:]:
        places = places * count
    index = ops.reshape(index, (-1, places))
    rows = ops.arange(ops.shape(index)[0], dtype=index.dtype)
    index = index + ops.expand_dims(rows * ops.cast(size, index.dtype), 1)
    result = ops.scatter_update(
        ops.reshape(x, (-1, *rest)),
        ops.reshape(index, (-1, 1)),
        ops.reshape(updates, (-1, *rest)),
        reduction="add",
    )
    return ops.reshape(result, ops.shape(x))


def conv1d(filters: int, kernel: int, *, name: str, **options) -> layers.Conv1D:
    """Convolution without bias, weights uniform within 1 / sqrt(fan in)."""
    uniform = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Conv1D(
        filters,
        kernel,
        use_bias=False,
        kernel_initializer=uniform,
        name=name,
        **options,
    )


def conv2d(
    filters: int, kernel: int | tuple[int, int], *, name: str, **options
) -> layers.Conv2D:
    """Convolution without bias, weights uniform within 1 / sqrt(fan in)."""
    uniform = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Conv2D(
        filters,
        kernel,
        use_bias=False,
        kernel_initializer=uniform,
        name=name,
        **options,
    )


def conv3d(
    filters: int, kernel: int | tuple[int, int, int], *, name: str, **options
) -> layers.Conv3D:
    """Convolution without bias, weights uniform within 1 / sqrt(fan in)."""
    uniform = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Conv3D(
        filters,
        kernel,
        use_bias=False,
        kernel_initializer=uniform,
        name=name,
        **options,
    )


def biased_conv1d(
    filters: int, kernel: int, fan_in: int, *, name: str, **options
) -> layers.Conv1D:
    """Convolution, weights and bias uniform within 1 / sqrt(fan in)."""
    bound = fan_in**-0.5
    return layers.Conv1D(
        filters,
        kernel,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        name=name,
        **options,
    )


def biased_conv2d(
    filters: int, kernel: int | tuple[int, int], fan_in: int, *, name: str, **options
) -> layers.Conv2D:
    """Convolution, weights and bias uniform within 1 / sqrt(fan in)."""
    bound = fan_in**-0.5
    return layers.Conv2D(
        filters,
        kernel,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        name=name,
        **options,
    )


def biased_conv3d(
    filters: int,
    kernel: int | tuple[int, int, int],
    fan_in: int,
    *,
    name: str,
    **options,
) -> layers.Conv3D:
    """Convolution, weights and bias uniform within 1 / sqrt(fan in)."""
    bound = fan_in**-0.5
    return layers.Conv3D(
        filters,
        kernel,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        name=name,
        **options,
    )


def pad_same(x, kernel, stride, dilation=1, value: float = 0.0):
    """Pads the spatial axes of [B, *S, C] for ceil(n / stride) windows, the odd cell last."""
    axes = len(x.shape) - 2
    sizes = [
        (n,) * axes if isinstance(n, int) else n for n in (kernel, stride, dilation)
    ]
    pads, keep = [(0, 0)], [slice(None)]
    for size, k, s, d in zip(ops.shape(x)[1:-1], *sizes, strict=True):
        span = d * (k - 1)
        total = span - (size - 1) % s
        if span < s - 1:  # then it may be less than 0
            total = max(total, 0) if isinstance(size, int) else ops.maximum(total, 0)
        # Pads by the most that any size needs, and then keeps what this size needs.
        pads.append((span // 2, span - span // 2))
        start = span // 2 - total // 2
        keep.append(slice(start, start + size + total))
    return ops.pad(x, [*pads, (0, 0)], constant_values=value)[tuple(keep)]


def pad(x, pads, mode: str):
    """Continues the axes of x by reflect, symmetric, replicate or circular padding."""
    for axis, (before, after) in enumerate(pads):
        if before == after == 0:
            continue
        size = ops.shape(x)[axis]
        places = ops.arange(-before, size + after)
        if mode == "replicate":
            places = ops.clip(places, 0, size - 1)
        elif mode == "circular":
            places = places % size
        elif mode == "reflect":
            places = (size - 1) - ops.absolute(size - 1 - places % (2 * size - 2))
        else:
            places = places % (2 * size)
            places = ops.minimum(places, 2 * size - 1 - places)
        x = ops.take(x, places, axis=axis)
    return x


def conv_transpose(
    x, weight, stride, padding=None, output_padding=None, dilation=None, groups: int = 1
):
    """Transposed convolution of [B, *S, C] with a weight [C, features / groups, *kernel]."""
    axes = len(stride)
    padding = padding or (0,) * axes
    output_padding = output_padding or (0,) * axes
    for axis, step in enumerate(dilation or (1,) * axes, 2):
        cells = weight.shape[axis]
        apart = ops.expand_dims(weight, axis + 1)
        empty = [(0, step - 1) if i == axis + 1 else (0, 0) for i in range(axes + 3)]
        shape = [*weight.shape[:axis], cells * step, *weight.shape[axis + 1 :]]
        weight = ops.reshape(ops.pad(apart, empty), shape)
        used = (slice(None),) * axis + (slice(step * (cells - 1) + 1),)
        weight = weight[used]
    kernel = ops.transpose(weight, (*range(2, axes + 2), 1, 0))
    parts = ops.split(x, groups, axis=-1), ops.split(kernel, groups, axis=-1)
    y = ops.concatenate(
        [ops.conv_transpose(part, k, stride) for part, k in zip(*parts, strict=True)],
        axis=-1,
    )
    pads, keep = [(0, 0)], [slice(None)]
    for i in range(axes):
        # What must stand behind the n * stride + max(cells - stride, 0) cells made.
        cells = kernel.shape[i]
        more = output_padding[i] - padding[i] - max(stride[i] - cells, 0)
        pads.append((0, max(more, 0)))
        keep.append(slice(padding[i], min(more, 0) or None))
    return ops.pad(y, [*pads, (0, 0)])[tuple(keep)]


def attention(q, k, v, *, mask=None, bias=None, causal=False, scale=None, dropout=None):
    """Scaled dot-product attention of [*, heads, time, width]; no key to see gives zeros."""
    groups = q.shape[-3] // k.shape[-3]
    if groups > 1:  # fewer key heads: each serves several query heads in a row
        k, v = ops.repeat(k, groups, axis=-3), ops.repeat(v, groups, axis=-3)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = ops.matmul(q * scale, ops.swapaxes(k, -1, -2))
    if bias is not None:
        scores = scores + bias
    if causal:
        first = scores[(0,) * (len(scores.shape) - 2)]  # one matrix of the stack
        lower = ops.cast(ops.tril(ops.ones_like(first)), "bool")
        mask = lower if mask is None else ops.logical_and(mask, lower)
    if mask is not None:
        half = keras.backend.standardize_dtype(scores.dtype) == "float16"
        scores = ops.where(mask, scores, -3e4 if half else -1e9)
    weights = ops.softmax(scores)
    if mask is not None:
        weights = ops.where(mask, weights, 0.0)
    if dropout is not None:
        weights = dropout(weights)
    return ops.matmul(weights, v)


def computes_again(layer, training, inside: bool) -> bool:
    """Whether a layer's activations are to be made again: in training, once its weights are there."""
    return bool(layer.recompute and layer.built and training and not inside)


def computed_again(layer, *inputs):
    """A layer in training, its activations made again in the backward pass, with the same random draws."""
    variables = layer.variables
    states = [v for v in variables if v.name == "seed_generator_state"]
    # Values of now: what is drawn moves on before the backward pass, and TensorFlow gives the variable itself.
    values = [
        ops.copy(v) if v.name == "seed_generator_state" else ops.reshape(v, v.shape)
        for v in variables
    ]
    every = keras.tree.flatten([values, inputs])
    kinds = [keras.backend.standardize_dtype(x.dtype) for x in every]
    floats = [i for i in range(len(every)) if keras.backend.is_float_dtype(kinds[i])]

    def once(*given):
        known = dict(zip(floats, given, strict=True))
        whole = [known.get(i, every[i]) for i in range(len(every))]
        held, found = keras.tree.pack_sequence_as([values, inputs], whole)
        pairs = list(zip(variables, held, strict=True))
        with keras.StatelessScope(state_mapping=pairs) as scope:
            outputs = layer(*found, training=True, recomputing=True)
        return outputs, [scope.get_current_value(v) for v in states]

    outputs, moved = keras.remat(once)(*[every[i] for i in floats])
    for variable, value in zip(states, moved, strict=True):
        variable.assign(value)
    return outputs


@keras.saving.register_keras_serializable(package="nnspec")
class SumOfUniforms(initializers.Initializer):
    """The sum of two draws from U(-bound, bound), as of two biases that act as one."""

    def __init__(self, bound: float) -> None:
        self.bound = bound

    def __call__(self, shape, dtype=None):
        """A new draw."""
        first = initializers.RandomUniform(-self.bound, self.bound)
        second = initializers.RandomUniform(-self.bound, self.bound)
        return first(shape, dtype) + second(shape, dtype)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"bound": self.bound}


@keras.saving.register_keras_serializable(package="nnspec")
class OrthogonalRows(initializers.Initializer):
    """A (semi-)orthogonal matrix made of the first axis and all others together."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape, dtype=None):
        """A new draw."""
        moved = initializers.Orthogonal(self.gain)((*shape[1:], shape[0]), dtype)
        return ops.moveaxis(moved, -1, 0)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"gain": self.gain}


def simple_rnn(
    units: int,
    *,
    bidirectional: bool = False,
    return_sequences: bool = True,
    name: str,
    **options,
) -> layers.Layer:
    """Simple recurrent layer, weights and biases uniform within 1 / sqrt(units)."""
    bound = units**-0.5
    layer = layers.SimpleRNN(
        units,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        recurrent_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=SumOfUniforms(bound),
        return_sequences=return_sequences,
        name="simple_rnn" if bidirectional else name,
        **options,
    )
    return layers.Bidirectional(layer, name=name) if bidirectional else layer


def lstm(
    units: int,
    *,
    bidirectional: bool = False,
    return_sequences: bool = True,
    name: str,
    **options,
) -> layers.Layer:
    """LSTM layer, weights and biases uniform within 1 / sqrt(units)."""
    bound = units**-0.5
    layer = layers.LSTM(
        units,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        recurrent_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=SumOfUniforms(bound),
        unit_forget_bias=False,
        return_sequences=return_sequences,
        name="lstm" if bidirectional else name,
        **options,
    )
    return layers.Bidirectional(layer, name=name) if bidirectional else layer


def gru(
    units: int,
    *,
    bidirectional: bool = False,
    return_sequences: bool = True,
    name: str,
    **options,
) -> layers.Layer:
    """GRU layer, weights and biases uniform within 1 / sqrt(units)."""
    bound = units**-0.5
    layer = layers.GRU(
        units,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        recurrent_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        reset_after=True,
        return_sequences=return_sequences,
        name="gru" if bidirectional else name,
        **options,
    )
    return layers.Bidirectional(layer, name=name) if bidirectional else layer


def run_recurrent(stack, x, *, state=None, dropout=None):
    """Runs layers one on another; the result, and each final state as [layers, batch, units]."""
    directions = 2 if isinstance(stack[0], layers.Bidirectional) else 1
    finals = []
    for place, layer in enumerate(stack):
        if dropout is not None and place > 0:
            x = dropout(x)
        rows = range(place * directions, (place + 1) * directions)
        initial = state and [part[row] for row in rows for part in state]
        x, *final = layer(x, initial_state=initial)
        finals.extend(final)
    kinds = len(finals) // (len(stack) * directions)
    return (x, *(ops.stack(finals[kind::kinds]) for kind in range(kinds)))


def lstm_cell(units: int, *, use_bias: bool = True, name: str) -> layers.LSTMCell:
    """One step of an LSTM, weights and biases uniform within 1 / sqrt(units)."""
    bound = units**-0.5
    return layers.LSTMCell(
        units,
        use_bias=use_bias,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        recurrent_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=SumOfUniforms(bound),
        unit_forget_bias=False,
        name=name,
    )


def gru_cell(units: int, *, use_bias: bool = True, name: str) -> layers.GRUCell:
    """One step of a GRU, weights and biases uniform within 1 / sqrt(units)."""
    bound = units**-0.5
    return layers.GRUCell(
        units,
        use_bias=use_bias,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        recurrent_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        reset_after=True,
        name=name,
    )


def l2_normalize(x, axis: int):
    """Vectors of length 1; shorter than 1e-12 they stay short, with finite gradients."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-24))


def dilated_max_pool(x, kernel, stride, dilation):
    """Maximum over windows of [B, *S, C] whose cells lie `dilation` apart."""
    for axis, (cells, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), 1):
        before = (slice(None),) * axis
        taps = [
            x[(*before, slice(i * d, (i - cells + 1) * d or None, s))]
            for i in range(cells)
        ]
        x = taps[0]
        for tap in taps[1:]:
            x = ops.maximum(x, tap)
    return x


def average_pool(x, kernel, stride, pads=None, counted=None):
    """Mean over the cells of each window of [B, *S, C] that are no padding, or are `counted`.

    Without `pads`, pads as `pad_same` does.
    """
    cells = ops.ones_like(x[:1, ..., :1])
    if pads is None:
        x, cells = pad_same(x, kernel, stride), pad_same(cells, kernel, stride)
    else:
        counted = counted or ((0, 0),) * len(pads)
        rest = [(a - c, b - d) for (a, b), (c, d) in zip(pads, counted, strict=True)]
        cells = ops.pad(cells, [(0, 0), *counted, (0, 0)], constant_values=1.0)
        cells = ops.pad(cells, [(0, 0), *rest, (0, 0)])
        x = ops.pad(x, [(0, 0), *pads, (0, 0)])
    return ops.average_pool(x, kernel, stride) / ops.average_pool(cells, kernel, stride)


def batch_norm(
    momentum: float = 0.9, epsilon: float = 1e-5, *, name: str, **options
) -> layers.BatchNormalization:
    """Batch normalisation; `momentum` is the share of the running statistics that is kept."""
    return layers.BatchNormalization(
        momentum=momentum, epsilon=epsilon, name=name, **options
    )


def standardize(x, axes: tuple[int, ...], epsilon: float):
    """Takes the mean over several axes from x, and divides by the deviation."""
    x = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(x), axis=axes, keepdims=True)
    return x * ops.rsqrt(variance + epsilon)


def adaptive_pool(x, size: tuple[int, ...], reduce):
    """Reduces as many parts of each spatial axis of [B, *S, C] as `size` says to a cell each."""
    for axis, parts in enumerate(size, 1):
        before, ahead = ops.shape(x)[axis], (slice(None),) * axis
        cells = []
        for i in range(parts):
            part = slice(i * before // parts, -(-(i + 1) * before // parts))
            cells.append(reduce(x[(*ahead, part)], axis=axis, keepdims=True))
        x = ops.concatenate(cells, axis=axis)
    return x


def resize_nearest(x, size, exact: bool = False):
    """The nearest cells of [B, *S, C]: floor(i n / m), or with `exact` floor((i + 1/2) n / m)."""
    for axis, target in enumerate(size, 1):
        before, places = ops.shape(x)[axis], ops.arange(target, dtype="int32")
        places = (
            (2 * places + 1) * before // (2 * target)
            if exact
            else places * before // target
        )
        x = ops.take(x, places, axis=axis)
    return x


def resize_points(before, target, align_corners: bool, dtype: str):
    """The points of an axis of `before` cells from which `target` cells are taken."""
    places = ops.arange(target, dtype=dtype)
    before, target = ops.cast(before, dtype), ops.cast(target, dtype)
    if align_corners:
        return places * (before - 1) / ops.maximum(target - 1, 1)
    return (places + 0.5) * (before / target) - 0.5


def resize_linear(x, size, align_corners: bool = False):
    """Linear interpolation between the cells of each spatial axis of [B, *S, C]."""
    dtype = (
        "float64"
        if keras.backend.standardize_dtype(x.dtype) == "float64"
        else "float32"
    )
    for axis, target in enumerate(size, 1):
        before = ops.shape(x)[axis]
        points = ops.maximum(resize_points(before, target, align_corners, dtype), 0)
        lower = ops.minimum(ops.cast(ops.floor(points), "int32"), before - 1)
        upper = ops.minimum(lower + 1, before - 1)
        share = ops.cast(points - ops.cast(lower, dtype), x.dtype)
        share = ops.reshape(share, (-1,) + (1,) * (len(x.shape) - axis - 1))
        below, above = ops.take(x, lower, axis=axis), ops.take(x, upper, axis=axis)
        x = below * (1 - share) + above * share
    return x


def resize_cubic(x, size, align_corners: bool = False):
    """Cubic convolution (Keys, 1981, a = -3/4) along each spatial axis of [B, *S, C]."""
    dtype = (
        "float64"
        if keras.backend.standardize_dtype(x.dtype) == "float64"
        else "float32"
    )
    for axis, target in enumerate(size, 1):
        before = ops.shape(x)[axis]
        points = resize_points(before, target, align_corners, dtype)
        first = ops.floor(points)
        parts = []
        for tap in (-1, 0, 1, 2):
            away = ops.absolute(points - first - tap)
            near = (1.25 * away - 2.25) * away * away + 1
            far = ((-0.75 * away + 3.75) * away - 6) * away + 3
            share = ops.cast(ops.where(away <= 1, near, far), x.dtype)
            share = ops.reshape(share, (-1,) + (1,) * (len(x.shape) - axis - 1))
            places = ops.clip(ops.cast(first, "int32") + tap, 0, before - 1)
            parts.append(ops.take(x, places, axis=axis) * share)
        x = sum(parts[1:], parts[0])
    return x


def pixel_shuffle(x, factor: int):
    """[B, H, W, C r^2] -> [B, H r, W r, C]; the channels come in the order (C, r, r)."""
    _, height, width, channels = ops.shape(x)
    channels = channels // factor**2
    x = ops.reshape(x, (-1, height, width, channels, factor, factor))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (-1, height * factor, width * factor, channels))


def pixel_unshuffle(x, factor: int):
    """[B, H r, W r, C] -> [B, H, W, C r^2], with the channels in the order (C, r, r)."""
    _, height, width, channels = ops.shape(x)
    height, width = height // factor, width // factor
    x = ops.reshape(x, (-1, height, factor, width, factor, channels))
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4))
    return ops.reshape(x, (-1, height, width, channels * factor**2))
