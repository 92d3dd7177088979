"""The models of the specs, written by hand in PyTorch: what the compiled programs are compared with.

Submodules stand in the order in which the spec makes its layers, so that weights are carried over in
order. Shapes are those of PyTorch: channels first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


def dense(*widths: int, last: nn.Module | None = None) -> nn.Sequential:
    """Linear layers with rectifiers between them, and `last` behind them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    layers[-1:] = [] if last is None else [last]
    return nn.Sequential(*layers)


def digit_mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(64, 10),
    )  # fmt: skip


def convolutions(*channels: int) -> list[nn.Module]:
    """3x3 convolutions without padding, halved between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return layers


def cnn28() -> nn.Module:
    return nn.Sequential(*convolutions(1, 32, 64), nn.Flatten(), *dense(1600, 64, 10))


def cnn32_base() -> nn.Module:
    return nn.Sequential(*convolutions(3, 32, 64, 64)[:-1])


def cnn32() -> nn.Module:
    return nn.Sequential(cnn32_base(), nn.Flatten(), *dense(1024, 64, 10))


def digits_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), *dense(512, 64, 10),
    )  # fmt: skip


def lenet5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
        nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def medical(padding: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 3, padding=padding), nn.ReLU()]
        layers += [nn.BatchNorm2d(after, eps=1e-3), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 2)
    )


class LastStep(nn.Module):
    """Recurrent layers one after another, and a linear layer on the last step."""

    def __init__(self, *layers: nn.RNNBase, head: nn.Linear) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


class EveryStep(nn.Module):
    """A recurrent layer, whose outputs of all steps are the result."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def lstm(inputs: int, hidden: int, layers: int = 1) -> nn.LSTM:
    return nn.LSTM(inputs, hidden, layers, batch_first=True)


def simple_forecast() -> nn.Module:
    rnn = nn.RNN(1, 50, nonlinearity="relu", batch_first=True)
    return LastStep(rnn, head=nn.Linear(50, 1))


def text_lstm() -> nn.Module:
    body = LastStep(lstm(64, 128), head=nn.Linear(128, 10))
    return nn.Sequential(nn.Embedding(1000, 64), body)


def two_layer_gru() -> nn.Module:
    gru = nn.GRU(1, 64, 2, batch_first=True)
    return LastStep(gru, head=nn.Linear(64, 1))


class TransformerBlock(nn.Module):
    """Self-attention written out, normalised behind the residual."""

    def __init__(self, width: int = 64, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * width)
        self.key = nn.Linear(width, heads * width)
        self.value = nn.Linear(width, heads * width)
        self.out = nn.Linear(heads * width, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = dense(width, 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.mlp(self.norm(x + self.out(y)))


def separable(inputs: int, width: int, stride: int) -> list[nn.Module]:
    """A convolution for each channel, then one across the channels; `same` as TensorFlow pads."""
    pad = (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)
    return [
        nn.ZeroPad2d(pad),
        nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs, eps=1e-3), nn.ReLU6(),
        nn.Conv2d(inputs, width, 1, bias=False),
        nn.BatchNorm2d(width, eps=1e-3), nn.ReLU6(),
    ]  # fmt: skip


def mobilenet() -> nn.Module:
    layers: list[nn.Module] = [
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 32, 3, 2, bias=False),
        nn.BatchNorm2d(32, eps=1e-3), nn.ReLU6(),
    ]  # fmt: skip
    inputs = 32
    for width in (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024):
        halved = width > inputs and inputs > 32
        layers += separable(inputs, width, 2 if halved else 1)
        inputs = width
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))
    return nn.Sequential(*layers, head)


def gan() -> nn.Module:
    parts = {"generator": dense(100, 128, 784, last=nn.Sigmoid())}
    parts["discriminator"] = dense(784, 128, 1, last=nn.Sigmoid())
    return nn.Sequential(OrderedDict(parts))


PROGRAMS: dict[str, Callable[[], nn.Module]] = {
    "Perceptron": lambda: dense(2, 1, last=nn.Sigmoid()),
    "HiddenLayer": lambda: dense(2, 3, 1, last=nn.Sigmoid()),
    "DigitMLP": digit_mlp,
    "RegressionMLP": lambda: dense(10, 32, 16, 1),
    "CNN28": cnn28,
    "CNN32Base": cnn32_base,
    "CNN32": cnn32,
    "DigitsCNN": digits_cnn,
    "LeNet5": lenet5,
    "MedicalCNN": lambda: medical(0),
    "MedicalCNNSame": lambda: medical(1),
    "MobileNet": mobilenet,
    "TextLSTM": text_lstm,
    "SimpleForecast": simple_forecast,
    "StackedLSTM": lambda: LastStep(lstm(28, 64), lstm(64, 32), head=nn.Linear(32, 10)),
    "FinancialLSTM": lambda: LastStep(lstm(5, 50), lstm(50, 50), head=nn.Linear(50, 1)),
    "TwoLayerLSTM": lambda: LastStep(lstm(1, 64, 2), head=nn.Linear(64, 1)),
    "TwoLayerGRU": two_layer_gru,
    "LSTMEncoder": lambda: EveryStep(lstm(64, 128, 2)),
    "BiLSTMEncoder": lambda: EveryStep(
        nn.LSTM(64, 128, 2, batch_first=True, bidirectional=True)
    ),
    "GRUEncoder": lambda: EveryStep(nn.GRU(64, 128, 2, batch_first=True)),
    "Generator": lambda: dense(100, 128, 784, last=nn.Sigmoid()),
    "Discriminator": lambda: dense(784, 128, 1, last=nn.Sigmoid()),
    "GAN": gan,
    "Encoder": lambda: dense(784, 32, last=nn.ReLU()),
    "Decoder": lambda: dense(32, 784, last=nn.Sigmoid()),
    "Autoencoder": lambda: nn.Sequential(
        dense(784, 32, last=nn.ReLU()), dense(32, 784, last=nn.Sigmoid())
    ),
    "TransformerBlock": TransformerBlock,
}
SHAPES: dict[str, tuple[int, ...]] = {
    "Perceptron": (2,), "HiddenLayer": (2,), "DigitMLP": (784,), "RegressionMLP": (10,),
    "CNN28": (1, 28, 28), "CNN32Base": (3, 32, 32), "CNN32": (3, 32, 32),
    "DigitsCNN": (1, 8, 8), "LeNet5": (1, 32, 32),
    "MedicalCNN": (3, 224, 224), "MedicalCNNSame": (3, 224, 224), "MobileNet": (3, 224, 224),
    "TextLSTM": (100,), "SimpleForecast": (20, 1), "StackedLSTM": (28, 28),
    "FinancialLSTM": (60, 5), "TwoLayerLSTM": (60, 1), "TwoLayerGRU": (60, 1),
    "LSTMEncoder": (60, 64), "BiLSTMEncoder": (60, 64), "GRUEncoder": (60, 64),
    "Generator": (100,), "Discriminator": (784,), "GAN": (100,),
    "Encoder": (784,), "Decoder": (32,), "Autoencoder": (784,), "TransformerBlock": (10, 64),
}  # fmt: skip


def example(name: str, batch: int, device: str = "cpu") -> Tensor:
    """An input of a model: random numbers, or ids where it looks up words."""
    shape = (batch, *SHAPES[name])
    if name == "TextLSTM":
        return torch.randint(0, 1000, shape, device=device)
    return torch.randn(shape, device=device)
