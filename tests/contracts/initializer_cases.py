"""Layers with weights, and how the weights start: stated here anew, not read from the compiler."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from distributions import (
    Distribution,
    constant,
    normal,
    sum_of_uniforms,
    truncated,
    uniform,
)

ZERO, ONE = constant(0.0), constant(1.0)
# A layer's bias of PyTorch's and the second one, which act as their sum in Keras.
SUM = "+"


@dataclass(frozen=True)
class Case:
    """A layer in a model; `expected` by the name of the weight below the layer, as PyTorch has it."""

    name: str
    inputs: str
    expression: str
    expected: dict[str, Distribution]
    before: str = ""
    others: dict[str, Distribution] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @property
    def text(self) -> str:
        """The spec. The layer is named `layer`."""
        inputs = "".join(f"  input {each}\n" for each in self.inputs.split("; "))
        before = f"  {self.before}\n" if self.before else ""
        return f"model M {{\n{inputs}{before}  output y = {self.expression}\n}}\n"


def _fan(
    name: str, inputs: str, expression: str, fan: int, *, bias: bool = True
) -> Case:
    law = uniform(fan**-0.5)
    expected = {"weight": law, "bias": law} if bias else {"weight": law}
    return Case(name, inputs, expression, expected)


def _recurrent(
    name: str,
    expression: str,
    hidden: int,
    runs: list[str],
    bias: bool = True,
    before: str = "",
) -> Case:
    law, both = uniform(hidden**-0.5), sum_of_uniforms(hidden**-0.5)
    expected: dict[str, Distribution] = {}
    for run in runs:
        expected |= {f"weight_ih{run}": law, f"weight_hh{run}": law}
        if bias:
            expected |= {f"bias_ih{run}": law, f"bias_hh{run}": law}
            expected[f"bias_ih{run}{SUM}bias_hh{run}"] = both
    return Case(name, "x: [B, 7, 40]", expression, expected, before=before)


def _norm(name: str, inputs: str, expression: str, **expected: Distribution) -> Case:
    return Case(name, inputs, expression, expected)


LINE, IMAGE, VOLUME = "x: [B, 24, T]", "x: [B, 24, H, W]", "x: [B, 24, D, H, W]"

DEFAULTS = [
    _fan("linear", "x: [B, 200]", "x -> layer: Linear(1500)", 200),
    _fan(
        "linear_without_bias",
        "x: [B, 200]",
        "x -> layer: Linear(1500, bias=false)",
        200,
        bias=False,
    ),
    Case(
        "linear_with_a_shared_weight",
        "ids: i64[B]",
        "ids -> table -> layer: Linear(1500, weight=table.weight)",
        {"bias": uniform(50**-0.5)},
        before="table = Embedding(1500, 50)",
        others={"table.weight": normal(1.0), "layer_bias": uniform(50**-0.5)},
    ),
    _fan("conv1d", LINE, "x -> layer: Conv(800, 5)", 24 * 5),
    _fan(
        "conv1d_causal",
        LINE,
        'x -> layer: Conv(800, 5, padding="causal", bias=false)',
        24 * 5,
        bias=False,
    ),
    _fan("conv2d", IMAGE, 'x -> layer: Conv(800, 3, padding="same")', 24 * 9),
    _fan(
        "conv2d_without_bias",
        IMAGE,
        "x -> layer: Conv(300, [3, 2], stride=2, bias=false)",
        24 * 6,
        bias=False,
    ),
    _fan("conv2d_dilated", IMAGE, "x -> layer: Conv(800, 3, dilation=2)", 24 * 9),
    _fan("conv3d", VOLUME, "x -> layer: Conv(800, 2, padding=1)", 24 * 8),
    _fan(
        "conv3d_without_bias",
        VOLUME,
        "x -> layer: Conv(100, 2, bias=false)",
        24 * 8,
        bias=False,
    ),
    _fan("conv2d_grouped", IMAGE, "x -> layer: Conv(800, 3, groups=4)", 6 * 9),
    _fan(
        "conv2d_grouped_without_bias",
        IMAGE,
        "x -> layer: Conv(240, 3, groups=4, bias=false)",
        6 * 9,
        bias=False,
    ),
    _fan(
        "conv2d_depthwise",
        "x: [B, 600, H, W]",
        "x -> layer: Conv(600, 3, groups=600, padding=1)",
        9,
    ),
    _fan(
        "conv2d_depthwise_without_bias",
        "x: [B, 600, H, W]",
        "x -> layer: Conv(600, 3, groups=600, padding=1, bias=false)",
        9,
        bias=False,
    ),
    _fan("transposed1d", LINE, "x -> layer: ConvTranspose(800, 4, stride=2)", 800 * 4),
    _fan(
        "transposed2d",
        IMAGE,
        "x -> layer: ConvTranspose(600, 4, stride=2, padding=1)",
        600 * 16,
    ),
    _fan(
        "transposed2d_without_bias",
        IMAGE,
        "x -> layer: ConvTranspose(300, 3, bias=false)",
        300 * 9,
        bias=False,
    ),
    _fan("transposed3d", VOLUME, "x -> layer: ConvTranspose(500, 2)", 500 * 8),
    _fan(
        "transposed2d_grouped",
        IMAGE,
        "x -> layer: ConvTranspose(600, 3, groups=4)",
        150 * 9,
    ),
    _fan(
        "transposed2d_dilated",
        IMAGE,
        "x -> layer: ConvTranspose(600, 3, dilation=2)",
        600 * 9,
    ),
    Case(
        "embedding",
        "ids: i64[B]",
        "ids -> layer: Embedding(900, 70)",
        {"weight": normal(1.0)},
    ),
    _norm(
        "batch_norm",
        IMAGE,
        "x -> layer: BatchNorm",
        weight=ONE,
        bias=ZERO,
        running_mean=ZERO,
        running_var=ONE,
    ),
    _norm(
        "batch_norm_not_affine",
        IMAGE,
        "x -> layer: BatchNorm(affine=false)",
        running_mean=ZERO,
        running_var=ONE,
    ),
    _norm("layer_norm", "x: [B, 9]", "x -> layer: LayerNorm", weight=ONE, bias=ZERO),
    _norm(
        "layer_norm_without_bias",
        "x: [B, 9]",
        "x -> layer: LayerNorm(bias=false)",
        weight=ONE,
    ),
    _norm("group_norm", IMAGE, "x -> layer: GroupNorm(4)", weight=ONE, bias=ZERO),
    _norm(
        "instance_norm",
        IMAGE,
        "x -> layer: InstanceNorm(affine=true)",
        weight=ONE,
        bias=ZERO,
    ),
    _norm("rms_norm", "x: [B, 9]", "x -> layer: RMSNorm", weight=ONE),
    _norm("prelu", IMAGE, "x -> layer: PReLU", weight=constant(0.25)),
    _norm(
        "prelu_of_channels",
        IMAGE,
        "x -> layer: PReLU(shared=false)",
        weight=constant(0.25),
    ),
    _recurrent("simple_rnn", "x -> layer: SimpleRNN(500)", 500, ["_l0"]),
    _recurrent(
        "simple_rnn_bidirectional",
        "x -> layer: SimpleRNN(500, bidirectional=true)",
        500,
        ["_l0", "_l0_reverse"],
    ),
    _recurrent("lstm", 'x -> layer: LSTM(300, returns="last")', 300, ["_l0"]),
    _recurrent(
        "lstm_bidirectional_deep",
        "x -> layer: LSTM(150, layers=2, bidirectional=true)",
        150,
        ["_l0", "_l0_reverse", "_l1", "_l1_reverse"],
    ),
    _recurrent(
        "lstm_without_bias",
        "x -> layer: LSTM(100, bias=false)",
        100,
        ["_l0"],
        bias=False,
    ),
    _recurrent("gru", "x -> layer: GRU(300)", 300, ["_l0"]),
    _recurrent(
        "gru_bidirectional_deep",
        "x -> layer: GRU(150, layers=2, bidirectional=true)",
        150,
        ["_l0", "_l0_reverse", "_l1", "_l1_reverse"],
    ),
    _recurrent(
        "lstm_cell",
        "h + c",
        300,
        [""],
        before="h, c = (x[:, 0], x[:, 1, :1] * ones([300]), x[:, 1, :1] * ones([300]))"
        " -> layer: LSTMCell(300)",
    ),
    _recurrent(
        "gru_cell",
        "(x[:, 0], x[:, 1, :1] * ones([300])) -> layer: GRUCell(300)",
        300,
        [""],
    ),
    Case("param", "x: [B, 40]", "x * layer", {"": ZERO}, before="layer = Param([40])"),
]

CHOICES = {
    "normal": ("init.normal(std=0.02, mean=0.3)", normal(0.02, 0.3)),
    "trunc_normal": ("init.trunc_normal(0.05)", truncated(0.05)),
    "uniform": ("init.uniform(0.07)", uniform(0.07)),
    "kaiming_uniform": ("init.kaiming_uniform(90)", uniform(90**-0.5)),
    "kaiming_normal": ("init.kaiming_normal(90)", normal(math.sqrt(2 / 90))),
    "kaiming_normal_gain": (
        "init.kaiming_normal(90, gain=0.5)",
        normal(0.5 / math.sqrt(90)),
    ),
    "xavier_uniform": ("init.xavier_uniform(90, 60)", uniform(math.sqrt(6 / 150))),
    "zeros": ("init.zeros", ZERO),
    "ones": ("init.ones", ONE),
    "constant": ("init.constant(0.125)", constant(0.125)),
}
OWNERS = {
    "param": ("x: [B, 600, 40]", "x + layer", "layer = Param([600, 40], init={})"),
    "linear": ("x: [B, 40]", "x -> layer: Linear(1500, init={}, bias_init={})", ""),
    "linear_without_bias": (
        "x: [B, 40]",
        "x -> layer: Linear(900, init={}, bias=false)",
        "",
    ),
    "conv": (IMAGE, "x -> layer: Conv(1500, 3, init={}, bias_init={})", ""),
    "transposed": (
        IMAGE,
        "x -> layer: ConvTranspose(900, 3, init={}, bias_init={})",
        "",
    ),
    "transposed_grouped": (
        IMAGE,
        "x -> layer: ConvTranspose(900, 3, groups=2, init={}, bias_init={})",
        "",
    ),
    "embedding": ("ids: i64[B]", "ids -> layer: Embedding(900, 40, init={})", ""),
    "prelu": ("x: [B, 900, T]", "x -> layer: PReLU(shared=false, init={})", ""),
}


def _chosen(owner: str, choice: str) -> Case:
    inputs, expression, before = OWNERS[owner]
    spelled, law = CHOICES[choice]
    # The bias is given another law, so that a mix-up shows.
    bias = init_of_bias(choice)
    whole = expression.replace("bias_init={}", f"bias_init={CHOICES[bias][0]}")
    expected = {"" if owner == "param" else "weight": law}
    if "bias_init" in expression:
        expected["bias"] = CHOICES[bias][1]
    return Case(
        f"{owner}-{choice}",
        inputs,
        whole.replace("{}", spelled),
        expected,
        before=before.replace("{}", spelled),
    )


def init_of_bias(choice: str) -> str:
    """The choice after this one."""
    names = list(CHOICES)
    return names[(names.index(choice) + 1) % len(names)]


CHOSEN = [_chosen(owner, choice) for owner in OWNERS for choice in CHOICES]
