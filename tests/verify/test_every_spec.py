"""Every spec of the repository, proven on every backend, compiled, exported, saved and loaded.

Models of the full size of a paper are proven at the same structure with fewer and narrower layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnspec
from tests.specs.figures import COMPILED

pytestmark = pytest.mark.framework

SMALLER: dict[str, dict[str, Any]] = {
    "MobileNetV2": {
        "stages": [
            [1, 8, 1, 2],
            [4, 8, 2, 1],
            [4, 12, 1, 2],
            [4, 12, 1, 2],
            [4, 12, 1, 2],
        ],
        "first": 8,
        "last": 32,
        "classes": 7,
    },
    "ConvNextT": {"depths": [1, 2, 1, 1], "widths": [8, 12, 16, 24], "classes": 7},
    "SwinT": {
        "depths": [2, 1],
        "heads": [1, 2],
        "size": 64,
        "width": 8,
        "window": 2,
        "classes": 7,
    },
    "MixerB16": {
        "size": 32,
        "patch": 8,
        "width": 16,
        "depth": 2,
        "tokens": 12,
        "channels": 24,
        "classes": 7,
    },
    "AlexNet": {"hidden": 16, "classes": 7},
    "VGG16": {"depths": [1, 1, 2, 1, 1], "size": 32, "hidden": 16, "classes": 7},
    "GoogLeNet": {"classes": 7},
    "DenseNet121": {"depths": [1, 2], "growth": 4, "classes": 7},
    "MobileNetV3Large": {"classes": 7},
    "SqueezeNet": {"size": 35, "classes": 7},
    "LSTMEncoder": {"features": 5, "hidden": 6},
    "BiLSTMEncoder": {"features": 5, "hidden": 6},
    "GRUEncoder": {"features": 5, "hidden": 6},
    "BERTBase": {"depth": 2, "vocab": 53, "width": 32, "heads": 4, "hidden": 48},
    "Llama2_7B": {
        "depth": 2,
        "width": 32,
        "heads": 4,
        "kv_heads": 4,
        "hidden": 48,
        "vocab": 53,
        "context": 32,
    },
    "ResNet18": {"depths": [1, 2, 1, 1], "classes": 10},
    "ResNet50": {"depths": [1, 2, 1, 1], "classes": 10},
    "GPT2Small": {"vocab": 101, "context": 16, "depth": 2, "width": 32, "heads": 4},
}
# What is written into a spec instead of being a constant, and what stands there in the proof.
RESIZED = {
    "AlexNet": {
        "[B, 3, 224, 224]": "[B, 3, 96, 96]",
        "[B, 256, 6, 6]": "[B, 256, 2, 2]",
    },
    "ResNet18": {
        "[B, 3, 224, 224]": "[B, 3, 64, 64]",
        "[B, 2048, 7, 7]": "[B, 2048, 2, 2]",
    },
    "ResNet50": {
        "[B, 3, 224, 224]": "[B, 3, 65, 65]",
        "[B, 2048, 7, 7]": "[B, 2048, 3, 3]",
    },
    "GoogLeNet": {
        "(160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),\n   ": "",
        "(112, 144, 288, 32, 64, 64), ": "",
    },
    "MedicalCNN": {"[B, 3, 224, 224]": "[B, 3, 32, 32]"},
    "MedicalCNNSame": {"[B, 3, 224, 224]": "[B, 3, 32, 32]"},
    "MobileNet": {
        "[B, 3, 224, 224]": "[B, 3, 64, 64]",
        "[B, 1024, 7, 7]": "[B, 1024, 2, 2]",
        "(128, 1), (256, 2), (256, 1), ": "(256, 2), ",
        "(512, 1), (512, 1), (512, 1), (512, 1), ": "",
    },
    "MobileNetV3Large": {
        ' (3, 72, 24, false, "RE", 1),': "",
        ' (5, 120, 40, true, "RE", 1), (5, 120, 40, true, "RE", 1),': "",
        ' (3, 200, 80, false, "HS", 1), (3, 184, 80, false, "HS", 1),': "",
        '(3, 184, 80, false, "HS", 1), (3, 480, 112, true, "HS", 1), ': "",
        '(3, 672, 112, true, "HS", 1),': "",
        "(5, 672, 160": "(5, 96, 160",
        ' (5, 960, 160, true, "HS", 1),\n': "\n",
    },
}
# Alike in structure to one above: the same block, more often.
REPEATED = {"ResNet101", "GPT2XL"}
# Proven on one backend: like another model but for a block (ResNet18), or costly for what it has.
ONCE = {
    "ResNet18",
    "AlexNet",
    "VGG16",
    "GoogLeNet",
    "DenseNet121",
    "SqueezeNet",
    "LSTMEncoder",
    "GRUEncoder",
}
# TensorFlow compiles each grouped convolution anew, at each size; it proves those of MobileNetV2.
ON_TORCH = {"MobileNet", "MobileNetV3Large"}
# What JAX compiles takes it longest, so it gets the models of one structure once.
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
    "GPT2Small",
    "SwinT",
}
WIDER: dict[str, tuple[str, dict[str, Any]]] = {
    "ViTB16": (
        "specs/vision/vit.nns",
        {"depth": 2, "width": 32, "heads": 4, "size": 32, "patch": 8, "classes": 7},
    ),
    "EfficientNetB0": (
        "specs/vision/efficientnet.nns",
        {"size": 32, "wide": 0.5, "deep": 0.5, "classes": 7},
    ),
    "RegNetY400MF": (
        "specs/vision/regnet.nns",
        {"depths": [1, 2], "widths": [8, 12], "group": 4, "classes": 7},
    ),
    "UNet64": ("specs/vision/unet.nns", {"depth": 2, "width": 8}),
    "TransformerBase": (
        "specs/language/transformer.nns",
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


def resized(path: str, name: str, folder: Path) -> str:
    """The path of the spec, or of a copy where its sizes are written into it."""
    if name not in RESIZED:
        return path
    text = Path(path).read_text(encoding="utf-8")
    for old, new in RESIZED[name].items():
        assert old in text
        text = text.replace(old, new)
    smaller = folder / Path(path).name
    smaller.write_text(text, encoding="utf-8")
    return str(smaller)


@pytest.mark.parametrize("name", [f.model for f in COMPILED if f.model not in REPEATED])
def test_a_spec_is_proven(name: str, tmp_path: Path) -> None:
    path = next(figures.path for figures in COMPILED if figures.model == name)
    backends = ("tensorflow", "torch", *(("jax",) if name in ON_JAX else ()))
    if name in ONCE:
        backends = ("tensorflow",)
    elif name in ON_TORCH:
        backends = ("torch",)
    smaller = resized(path, name, tmp_path)
    proven(smaller, name, SMALLER.get(name, {}), backends=backends, compile=True)


@pytest.mark.parametrize("name", WIDER)
def test_what_the_language_can_say_is_proven_too(name: str) -> None:
    path, constants = WIDER[name]
    # TensorFlow is slow at grouped convolutions, as above.
    grouped = name in {"EfficientNetB0", "RegNetY400MF"}
    backends = ("torch",) if grouped else ("tensorflow",)
    proven(path, name, constants, backends=backends, compile=True)
