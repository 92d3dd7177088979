"""Every spec of the repository, proven on every backend, compiled, exported, saved and loaded.

Models of the full size of a paper are proven at the same structure with fewer and narrower layers.
"""

from __future__ import annotations

from typing import Any

import pytest

import nnspec
from tests.specs.figures import COMPILED

pytestmark = pytest.mark.framework

SMALLER: dict[str, dict[str, Any]] = {
    "ResNet18": {"depths": [1, 2, 1, 1], "classes": 10},
    "ResNet50": {"depths": [1, 2, 1, 1], "classes": 10},
    "GPT2Small": {"vocab": 101, "context": 16, "depth": 2, "width": 32, "heads": 4},
}
# Alike in structure to one above: the same block, more often.
REPEATED = {"ResNet101", "GPT2XL"}
# JAX compiles each operation on its own at each size, so it gets the models of one structure once.
ON_JAX = {
    "HiddenLayer",
    "DigitMLP",
    "CNN32",
    "StackedLSTM",
    "TwoLayerGRU",
    "SimpleForecast",
    "GAN",
    "Autoencoder",
    "TransformerBlock",
    "LeNet5",
    "MedicalCNN",
    "ResNet50",
    "GPT2Small",
}
WIDER: dict[str, tuple[str, dict[str, Any]]] = {
    "ViTB16": (
        "specs/vision/vit.nns",
        {"depth": 2, "width": 32, "heads": 4, "size": 32, "patch": 8, "classes": 7},
    ),
    "UNet64": ("specs/vision/unet.nns", {"depth": 2, "width": 8}),
    "TransformerBase": (
        "specs/language/transformer.nns",
        {"depth": 2, "vocab": 53, "width": 32, "heads": 4, "hidden": 48},
    ),
    "MobileNetV2": ("specs/vision/mobilenet_v2.nns", {"wide": 0.1, "classes": 7}),
    "ConvNeXtT": (
        "specs/vision/convnext.nns",
        {"depths": [1, 2, 1, 1], "widths": [8, 12, 16, 24], "classes": 7},
    ),
    "SwinT": (
        "specs/vision/swin.nns",
        {
            "depths": [1, 2, 2, 1],
            "heads": [1, 2, 2, 4],
            "size": 64,
            "width": 8,
            "window": 2,
            "classes": 7,
        },
    ),
    "MixerB16": (
        "specs/vision/mixer.nns",
        {
            "size": 32,
            "patch": 8,
            "width": 16,
            "depth": 2,
            "tokens": 12,
            "channels": 24,
            "classes": 7,
        },
    ),
    "AlexNet": ("specs/vision/alexnet.nns", {"hidden": 16, "classes": 7}),
    "VGG16": (
        "specs/vision/vgg.nns",
        {"depths": [1, 1, 2, 1, 1], "size": 32, "hidden": 16, "classes": 7},
    ),
    "GoogLeNet": ("specs/vision/googlenet.nns", {"classes": 7}),
    "LSTMEncoder": ("specs/sequence/encoders.nns", {"features": 5, "hidden": 6}),
    "BiLSTMEncoder": ("specs/sequence/encoders.nns", {"features": 5, "hidden": 6}),
    "GRUEncoder": ("specs/sequence/encoders.nns", {"features": 5, "hidden": 6}),
    "BERTBase": (
        "specs/language/bert.nns",
        {"depth": 2, "vocab": 53, "width": 32, "heads": 4, "hidden": 48},
    ),
    "Llama31_405B": (
        "specs/language/llama.nns",
        {
            "depth": 2,
            "width": 32,
            "heads": 4,
            "kv_heads": 2,
            "hidden": 48,
            "vocab": 53,
            "context": 32,
        },
    ),
    "Llama3_8B": (
        "specs/language/llama.nns",
        {
            "depth": 2,
            "width": 32,
            "heads": 4,
            "kv_heads": 2,
            "hidden": 48,
            "vocab": 53,
            "context": 32,
        },
    ),
    "T5Small": (
        "specs/language/t5.nns",
        {
            "depth": 2,
            "vocab": 53,
            "width": 32,
            "inner": 24,
            "hidden": 48,
            "heads": 4,
        },
    ),
}


def proven(path: str, name: str, constants: dict[str, Any], **options: Any) -> None:
    report = nnspec.load(path, name, **constants).verify(**options)
    assert report.ok, report.text()


@pytest.mark.parametrize("name", [f.model for f in COMPILED if f.model not in REPEATED])
def test_a_spec_is_proven(name: str) -> None:
    path = next(figures.path for figures in COMPILED if figures.model == name)
    backends = ("tensorflow", "torch", *(("jax",) if name in ON_JAX else ()))
    if name == "ResNet18":  # as ResNet-50, with another block
        backends = ("tensorflow",)
    proven(path, name, SMALLER.get(name, {}), backends=backends, compile=True)


@pytest.mark.parametrize("name", WIDER)
def test_what_the_language_can_say_is_proven_too(name: str) -> None:
    path, constants = WIDER[name]
    proven(path, name, constants, compile=True)
