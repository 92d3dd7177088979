"""Names that people bring from other frameworks, and what they are called here."""

from __future__ import annotations

from nnspec.diagnostics import did_you_mean
from nnspec.ir.predefined import DTYPES, SCALAR_TYPES

FOREIGN = {
    "Dense": "Linear(features)",
    "FullyConnected": "Linear(features)",
    "Conv1d": "Conv(features, kernel)",
    "Conv2d": "Conv(features, kernel)",
    "Conv3d": "Conv(features, kernel)",
    "Conv1D": "Conv(features, kernel)",
    "Conv2D": "Conv(features, kernel)",
    "Conv3D": "Conv(features, kernel)",
    "Convolution": "Conv(features, kernel)",
    "DepthwiseConv2D": "Conv(C, kernel, groups=C)",
    "SeparableConv2D": "Conv(C, kernel, groups=C) -> Conv(features, 1)",
    "ConvTranspose1d": "ConvTranspose(features, kernel)",
    "ConvTranspose2d": "ConvTranspose(features, kernel)",
    "ConvTranspose3d": "ConvTranspose(features, kernel)",
    "Conv2DTranspose": "ConvTranspose(features, kernel)",
    "BatchNorm1d": "BatchNorm",
    "BatchNorm2d": "BatchNorm",
    "BatchNorm3d": "BatchNorm",
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "GroupNormalization": "GroupNorm(groups)",
    "RMSNormalization": "RMSNorm",
    "InstanceNorm1d": "InstanceNorm",
    "InstanceNorm2d": "InstanceNorm",
    "InstanceNorm3d": "InstanceNorm",
    "MaxPool1d": "max_pool(kernel)",
    "MaxPool2d": "max_pool(kernel)",
    "MaxPool3d": "max_pool(kernel)",
    "MaxPooling1D": "max_pool(kernel)",
    "MaxPooling2D": "max_pool(kernel)",
    "MaxPooling3D": "max_pool(kernel)",
    "AvgPool1d": "avg_pool(kernel)",
    "AvgPool2d": "avg_pool(kernel)",
    "AvgPool3d": "avg_pool(kernel)",
    "AveragePooling1D": "avg_pool(kernel)",
    "AveragePooling2D": "avg_pool(kernel)",
    "AdaptiveAvgPool2d": "adaptive_avg_pool(size)",
    "AdaptiveMaxPool2d": "adaptive_max_pool(size)",
    "GlobalAveragePooling1D": "global_avg_pool",
    "GlobalAveragePooling2D": "global_avg_pool",
    "GlobalMaxPooling2D": "global_max_pool",
    "MaxPool": "max_pool(kernel)",
    "AvgPool": "avg_pool(kernel)",
    "ReLU": "relu",
    "Relu": "relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Swish": "silu",
    "swish": "silu",
    "ELU": "elu",
    "LeakyReLU": "leaky_relu(slope)",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softmax": "softmax(dim=-1)",
    "LogSoftmax": "log_softmax(dim=-1)",
    "Activation": "the function itself, such as `relu`",
    "hard_swish": "hard_silu",
    "Flatten": "flatten",
    "Reshape": "reshape(shape)",
    "Permute": "transpose(order) or rearrange(pattern)",
    "permute": "transpose(order) or rearrange(pattern)",
    "view": "reshape(shape)",
    "Concatenate": "concat([a, b], dim)",
    "concatenate": "concat([a, b], dim)",
    "cat": "concat([a, b], dim)",
    "Add": "a + b",
    "Multiply": "a * b",
    "chunk": "split(count, dim)",
    "UpSampling2D": "resize(size)",
    "Upsample": "resize(size)",
    "interpolate": "resize(size)",
    "ZeroPadding2D": "pad(padding)",
    "SpatialDropout2D": "ChannelDropout(rate)",
    "Dropout2d": "ChannelDropout(rate)",
    "StochasticDepth": "DropPath(rate)",
    "RNN": "SimpleRNN(hidden)",
    "Attention": "`use std.attention (SelfAttention)`",
    "SelfAttention": "`use std.attention (SelfAttention)`",
    "CrossAttention": "`use std.attention (CrossAttention)`",
    "MLP": "`use std.feedforward (Mlp)`",
    "Mlp": "`use std.feedforward (Mlp)`",
    "SwiGLU": "`use std.feedforward (SwiGLU)`",
    "LayerScale": "`use std.scale (LayerScale)`",
    "MultiHeadAttention": "`use std.attention (MultiHeadAttention)`",
    "MultiheadAttention": "`use std.attention (MultiHeadAttention)`",
    "scaled_dot_product_attention": "attention(q, k, v)",
    "Sequential": "a pipe: `x -> A -> B`",
    "ModuleList": "a `for` loop",
    "Parameter": "Param(shape)",
    "add_weight": "Param(shape)",
    "Input": "a statement: `input x: [B, 3, 224, 224]`",
    "clamp": "clip(low, high)",
    "expand": "broadcast(shape)",
    "expand_dims": "unsqueeze(dim)",
    "broadcast_to": "broadcast(shape)",
    "bmm": "matmul(a, b)",
    "dot": "matmul(a, b)",
    "mm": "matmul(a, b)",
    "tile": "repeat(counts)",
    "masked_fill": "where(mask, a, b)",
    "multiply_add": "a * b + c",
    "print": "a type claim, such as `x: [B, 64] = x`",
}

# What stands before a dot elsewhere.
PREFIXES = frozenset({"nn", "F", "torch", "tf", "keras", "layers", "np", "jnp"})

# What tensors know of themselves elsewhere, and the function that tells it here.
FOREIGN_ATTRIBUTES = {
    "shape": "shape",
    "size": "shape",
    "ndim": "rank",
    "dim": "rank",
    "dtype": "dtype",
}

FOREIGN_DTYPES = {
    "long": "i64",
    "int": "i64",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "u8",
    "byte": "u8",
    "float16": "f16",
    "half": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "double": "f64",
    "boolean": "bool",
}
FOREIGN_KINDS = {
    "integer": "int",
    "number": "float",
    "double": "float",
    "boolean": "bool",
    "string": "str",
    "text": "str",
    "list": "list[int]",
    "tuple": "list[int]",
    "array": "list[int]",
    "func": "fn",
    "function": "fn",
    "callable": "fn",
    "module": "block",
    "layer": "block",
    "type": "dtype",
}
FOREIGN_INITIALIZERS = {
    "xavier": "xavier_uniform",
    "xavier_normal": "normal(std=sqrt(2 / (fan_in + fan_out)))",
    "glorot": "xavier_uniform",
    "glorot_uniform": "xavier_uniform",
    "he_normal": "kaiming_normal",
    "he_uniform": "kaiming_uniform",
    "random_normal": "normal",
    "random_uniform": "uniform",
    "truncated_normal": "trunc_normal",
}


def foreign_dtype(name: str) -> str | None:
    """What an element type of another framework is called here."""
    ours = FOREIGN_DTYPES.get(name)
    return None if ours is None else f"`{ours}`"


def kind_hint(name: str) -> str:
    """How the kind that a parameter was probably meant to have is written."""
    if name in DTYPES:
        return f"a tensor's type has its sizes in brackets: `{name}[B, T]`"
    if name.lower() == "tensor":
        return "a tensor's type is its sizes in brackets: `x: [B, T]`"
    ours = FOREIGN_KINDS.get(name.lower())
    if ours is not None:
        return f"here this is `{ours}`"
    kinds = ", ".join(sorted(SCALAR_TYPES))
    return (
        did_you_mean(name, SCALAR_TYPES) or f"the kinds are {kinds}, and lists of them"
    )


def foreign_hint(name: str) -> str | None:
    """What a name of another framework is called here, as an instruction."""
    if name in PREFIXES:
        return "operators and layers stand without a prefix: `relu`, `Linear(10)`"
    ours = FOREIGN.get(name) or foreign_dtype(name)
    if ours is None:
        return None
    quoted = ours if "`" in ours or " itself" in ours else f"`{ours}`"
    return f"here this is {quoted}"
