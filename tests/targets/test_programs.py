"""The emitted PyTorch program of every spec against an evaluation of its graph node by node."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.compiler import load
from tests.ir.models import spec
from tests.targets.comparing import agree

pytestmark = pytest.mark.framework

SMALL: dict[str, dict[str, Any]] = {
    "basic/mlp.nns:DigitMLP": {},
    "basic/perceptron.nns:HiddenLayer": {},
    "generative/gan.nns:GAN": {},
    "generative/autoencoder.nns:Autoencoder": {},
    "language/gpt2.nns:GPT2": {
        "vocab": 20,
        "context": 12,
        "depth": 2,
        "width": 16,
        "heads": 4,
    },
    "language/transformer_block.nns:TransformerBlock": {},
    "sequence/recurrent.nns:StackedLSTM": {},
    "sequence/recurrent.nns:TwoLayerGRU": {},
    "vision/cnn.nns:CNN32": {},
    "vision/digits.nns:DigitsCNN": {},
    "vision/efficientnet.nns:EfficientNet": {"wide": 1.4, "deep": 1.8, "size": 64},
    "vision/lenet.nns:LeNet5": {},
    "vision/medical.nns:MedicalCNN": {},
    "vision/mobilenet.nns:MobileNet": {},
    "vision/resnet.nns:ResNet50": {},
    "vision/unet.nns:UNet": {"width": 4, "depth": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_program_equals_its_graph(name: str) -> None:
    path, _, model = name.partition(":")
    agree(load(f"specs/{path}", model, **SMALL[name]))


UNUSUAL = {
    "layers behind a return that only some uses reach": """
        block Part(x: [B, C], n: int, opt: [B, _] = none, ws: list[int] = [1, 2]) {
          if n > 2 {
            if n > 3 { return x -> d: Linear(C), x }
            return x -> tanh, x
          } else { if n == 1 { return x -> b: Linear(C), x } }
          if opt != none { if len(ws) == 2 { return opt, x } }
          for w in ws { x = x -> c: Linear(C) }
          x = x + Param([C], init=init.normal(1.0))
          return x -> a: Linear(C), x
        }
        model Net {
          input x: [B, 4]
          a, b = x -> Part(3)
          c, d = x -> Part(2)
          e, f = x -> Part(2, opt=x)
          g, h = x -> Part(2, opt=x, ws=[1])
          i, j = x -> Part(1)
          k, l = x -> Part(4)
          output y = a + b + c + d + e + f + g + h + i + j + k + l
        }""",
    "sizes that a loop in a loop leaves, which is written out": """
        model Net {
          input x: [B, 3]
          c = x -> tanh
          for _ in [3, 3] {
            h = x -> Linear(4)
            for _ in [2, 4] {
              c, x = x, c
              x = x -> Linear(shape(h)[1])
            }
          }
          output a = x
          output b = c -> Linear(shape(c)[1])
        }""",
    "weights that only some uses have": """
        block Part(x: [B, C], n: int, scaled: bool = false) {
          for i in range(n) {
            if scaled { x = x * Param([C], init=init.normal(1.0)) }
            x = x -> Linear(C) -> tanh
          }
          if not scaled { x = x + Param([C], init=init.normal(1.0)) }
          return x
        }
        model Net {
          input x: [B, 4]
          output y = (x -> Part(2)) + (x -> Part(3, scaled=true))
        }""",
    "a value that gets its name after its first use": """
        model Net {
          input x: [B, 4]
          weights = [Param([4]), Param([4], init=init.ones)]
          parts = [x -> fc: Linear(4) for _ in range(2)]
          y = parts[0] + parts[1] * weights[0] + weights[1]
          x = parts[1]
          output a = y + weights[0]
          output b = x
        }""",
    "floats without a float or a weight at hand": """
        model Net {
          input tokens: i64[B, 5]
          output y = cast(tokens, float) * 0.7
        }""",
}


@pytest.mark.parametrize("text", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_program_equals_its_graph(text: str) -> None:
    agree(spec(text))


@pytest.mark.parametrize("text", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_program_has_a_peak(text: str) -> None:
    net = spec(text)
    peak = net.figure("train_peak", B=3)
    assert isinstance(peak, int)
    assert peak > net.figure("weight_bytes")
