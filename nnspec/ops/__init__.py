"""The table of operators.

`OPS` maps each name of the language to its class. A family's module is imported when one of its
operators is first used, so that a spec pays for what it uses. Users extend it with `OPS | {...}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnspec.ops.base import Operator


class OperatorTable(Mapping[str, "type[Operator]"]):
    """Names to operator classes, loaded when asked for."""

    def __init__(self, entries: Mapping[str, str | type[Operator]]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> type[Operator]:
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, cls = entry.partition(":")
            entry = getattr(import_module(f"nnspec.ops.{module}"), cls)
            self._entries[name] = entry
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __or__(self, others: Mapping[str, type[Operator]]) -> OperatorTable:
        return OperatorTable({**self._entries, **others})


OPS = OperatorTable(
    {
        # products with weights
        "Linear": "linear:Linear",
        "Embedding": "linear:Embedding",
        # convolution
        "Conv": "convolution:Conv",
        "ConvTranspose": "transposed_convolution:ConvTranspose",
        # pooling
        "max_pool": "pooling:MaxPool",
        "avg_pool": "pooling:AveragePool",
        "adaptive_avg_pool": "pooling:AdaptiveAveragePool",
        "adaptive_max_pool": "pooling:AdaptiveMaxPool",
        "global_avg_pool": "pooling:GlobalAveragePool",
        "global_max_pool": "pooling:GlobalMaxPool",
        # normalisation
        "BatchNorm": "normalization:BatchNorm",
        "LayerNorm": "normalization:LayerNorm",
        "GroupNorm": "normalization:GroupNorm",
        "InstanceNorm": "normalization:InstanceNorm",
        "RMSNorm": "normalization:RMSNorm",
        # space
        "resize": "resize:Resize",
        "pad": "padding:Pad",
        "pixel_shuffle": "padding:PixelShuffle",
        "pixel_unshuffle": "padding:PixelUnshuffle",
        # activations
        "relu": "activations:Relu",
        "relu6": "activations:Relu6",
        "gelu": "activations:Gelu",
        "silu": "activations:Silu",
        "sigmoid": "activations:Sigmoid",
        "hard_sigmoid": "activations:HardSigmoid",
        "hard_silu": "activations:HardSilu",
        "tanh": "activations:Tanh",
        "softplus": "activations:Softplus",
        "softsign": "activations:Softsign",
        "elu": "activations:Elu",
        "selu": "activations:Selu",
        "celu": "activations:Celu",
        "leaky_relu": "activations:LeakyRelu",
        "mish": "activations:Mish",
        "hardtanh": "activations:Hardtanh",
        "log_sigmoid": "activations:LogSigmoid",
        "tanh_shrink": "activations:TanhShrink",
        "soft_shrink": "activations:SoftShrink",
        "hard_shrink": "activations:HardShrink",
        "PReLU": "activations:PReLU",
        # functions of each element
        "exp": "mathematics:Exp",
        "log": "mathematics:Log",
        "sqrt": "mathematics:Sqrt",
        "rsqrt": "mathematics:Rsqrt",
        "sin": "mathematics:Sin",
        "cos": "mathematics:Cos",
        "abs": "mathematics:Abs",
        "sign": "mathematics:Sign",
        "floor": "mathematics:Floor",
        "ceil": "mathematics:Ceil",
        "round": "mathematics:Round",
        "square": "mathematics:Square",
        "reciprocal": "mathematics:Reciprocal",
        "erf": "mathematics:Erf",
        "log1p": "mathematics:Log1p",
        "expm1": "mathematics:Expm1",
        # arithmetic
        "add": "arithmetic:Add",
        "subtract": "arithmetic:Subtract",
        "multiply": "arithmetic:Multiply",
        "divide": "arithmetic:Divide",
        "floor_divide": "arithmetic:FloorDivide",
        "remainder": "arithmetic:Remainder",
        "power": "arithmetic:Power",
        "negative": "arithmetic:Negative",
        "minimum": "arithmetic:Minimum",
        "maximum": "arithmetic:Maximum",
        "clip": "arithmetic:Clip",
        # comparison, logic and choice
        "equal": "comparison:Equal",
        "not_equal": "comparison:NotEqual",
        "less": "comparison:Less",
        "less_equal": "comparison:LessEqual",
        "greater": "comparison:Greater",
        "greater_equal": "comparison:GreaterEqual",
        "logical_and": "comparison:LogicalAnd",
        "logical_or": "comparison:LogicalOr",
        "logical_not": "comparison:LogicalNot",
        "where": "comparison:Where",
        "cast": "comparison:Cast",
        # reductions
        "mean": "reductions:Mean",
        "max": "reductions:Max",
        "min": "reductions:Min",
        "sum": "reductions:Sum",
        "prod": "reductions:Prod",
        "var": "reductions:Var",
        "std": "reductions:Std",
        "any": "reductions:AnyTrue",
        "all": "reductions:AllTrue",
        "logsumexp": "reductions:LogSumExp",
        "norm": "reductions:Norm",
        "argmax": "reductions:ArgMax",
        "argmin": "reductions:ArgMin",
        # along one axis
        "softmax": "along_axis:Softmax",
        "log_softmax": "along_axis:LogSoftmax",
        "l2_normalize": "along_axis:L2Normalize",
        "glu": "along_axis:Glu",
        "cumsum": "along_axis:CumSum",
        "topk": "along_axis:TopK",
        "sort": "along_axis:Sort",
        # creation
        "arange": "creation:Arange",
        "zeros": "creation:Zeros",
        "ones": "creation:Ones",
        "full": "creation:Full",
        "zeros_like": "creation:ZerosLike",
        "ones_like": "creation:OnesLike",
        "tensor": "creation:LiteralTensor",
        "eye": "creation:Eye",
        "RandomNormal": "creation:RandomNormal",
        "RandomUniform": "creation:RandomUniform",
        "Param": "creation:Param",
        # look-ups
        "gather": "indexing:Gather",
        "take": "indexing:Take",
        "one_hot": "indexing:OneHot",
        "scatter_add": "indexing:ScatterAdd",
        # randomness in training
        "Dropout": "random:Dropout",
        "ChannelDropout": "random:ChannelDropout",
        "DropPath": "random:DropPath",
        "Identity": "random:Identity",
        # shapes
        "reshape": "shaping:Reshape",
        "flatten": "shaping:Flatten",
        "transpose": "shaping:Transpose",
        "unsqueeze": "shaping:Unsqueeze",
        "squeeze": "shaping:Squeeze",
        "broadcast": "shaping:Broadcast",
        "slicing": "slicing:Slicing",
        # putting together and taking apart
        "concat": "joining:Concat",
        "stack": "joining:Stack",
        "unstack": "joining:Unstack",
        "split": "joining:Split",
        "roll": "joining:Roll",
        "flip": "joining:Flip",
        "repeat": "joining:Repeat",
        # patterns and products
        "rearrange": "patterns:Rearrange",
        "einsum": "products:Einsum",
        "matmul": "products:Matmul",
        # attention
        "attention": "attention:Attention",
        # recurrence
        "SimpleRNN": "recurrent:SimpleRNN",
        "LSTM": "recurrent:LSTM",
        "GRU": "recurrent:GRU",
        "LSTMCell": "recurrent_cells:LSTMCell",
        "GRUCell": "recurrent_cells:GRUCell",
    }
)
