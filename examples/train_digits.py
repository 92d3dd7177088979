"""Trains one spec in PyTorch and in Keras, then moves what PyTorch has learned to Keras.

    python examples/train_digits.py

The data are scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, a quarter of them held out. Set KERAS_BACKEND
to choose what Keras runs on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import nnspec

SPEC = str(Path(__file__).parent.parent / "specs" / "vision" / "digits.nns")
EPOCHS = 30
BATCH = 32
RATE = 1e-3


@dataclass(frozen=True)
class Digits:
    """Images [N, 1, 8, 8] from 0 to 1, and the digits that they show."""

    images: NDArray[numpy.float32]
    labels: NDArray[numpy.int64]

    @property
    def channels_last(self) -> NDArray[numpy.float32]:
        """The images as Keras takes them."""
        return self.images.transpose(0, 2, 3, 1)


def digits() -> tuple[Digits, Digits]:
    """What to learn from, and what to be judged by."""
    data: Any = load_digits()
    images = (data.images[:, None] / 16).astype("float32")
    labels = data.target.astype("int64")
    parts: Any = train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=0
    )
    return Digits(parts[0], parts[2]), Digits(parts[1], parts[3])


def accuracy(logits: NDArray[Any], labels: NDArray[numpy.int64]) -> float:
    """The share of images whose digit has the largest logit."""
    return float((logits.argmax(1) == labels).mean())


# ---- PyTorch --------------------------------------------------------------------------------------


def train_torch(model: nn.Module, data: Digits) -> None:
    """Adam on cross-entropy."""
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    model.train()
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def torch_logits(model: nn.Module, data: Digits) -> NDArray[numpy.float32]:
    """What the module answers."""
    with torch.no_grad():
        return model.eval()(torch.from_numpy(data.images)).numpy()


# ---- Keras ----------------------------------------------------------------------------------------


def train_keras(model: Any, data: Digits) -> None:
    """The same by Keras's own loop."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss=loss)
    model.fit(data.channels_last, data.labels, BATCH, EPOCHS, verbose=0)


def keras_logits(model: Any, data: Digits) -> NDArray[numpy.float32]:
    """What the Keras model answers."""
    return model.predict(data.channels_last, verbose=0)


# ---- from one to the other ------------------------------------------------------------------------


def in_keras_layout(
    spec: str, model: nn.Module, folder: Path
) -> Mapping[str, NDArray[Any]]:
    """The module's weights as Keras's variables, by `nnspec weights convert`."""
    trained, converted = folder / "trained.safetensors", folder / "keras.safetensors"
    save_file(model.state_dict(), trained)
    command = ["weights", "convert", spec, "--from", "torch", "--to", "keras"]
    files = ["--input", str(trained), "--output", str(converted)]
    subprocess.run([sys.executable, "-m", "nnspec", *command, *files], check=True)
    return load_file(converted)


def assign(model: Any, weights: Mapping[str, NDArray[Any]]) -> None:
    """Puts converted weights into a Keras model; their names are the paths of its variables.

    The model must have been called once, since that makes its variables.
    """
    for variable in model.weights:
        variable.assign(weights[variable.path.removeprefix(f"{model.name}/")])


def main() -> None:
    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    training, held_out = digits()
    spec = nnspec.load(SPEC)
    module, model = spec.torch(), spec.keras()

    train_torch(module, training)
    expected = torch_logits(module, held_out)
    print(
        f"trained in PyTorch: {accuracy(expected, held_out.labels):.2%} of the held-out digits"
    )

    train_keras(model, training)
    found = keras_logits(model, held_out)
    print(f"trained in Keras:   {accuracy(found, held_out.labels):.2%}")

    with tempfile.TemporaryDirectory() as folder:
        assign(model, in_keras_layout(SPEC, module, Path(folder)))
    found = keras_logits(model, held_out)
    same = (found.argmax(1) == expected.argmax(1)).sum()
    print(
        f"PyTorch's weights in Keras: {same} of {len(found)} predictions are the same"
    )
    print(f"largest difference of a logit: {abs(found - expected).max():.1e}")


if __name__ == "__main__":
    main()
