"""With a reference's weights, both emitted programs compute what the reference computes."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.framework

import numpy  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import nnspec  # noqa: E402
from nnspec.spec import Spec  # noqa: E402
from tests.reference import carry  # noqa: E402
from tests.reference.libraries import bert, gpt2, llama, torchvision_models  # noqa: E402
from tests.reference.programs import PROGRAMS, example  # noqa: E402
from tests.reference.results import (  # noqa: E402
    assert_equal,
    keras_array,
    keras_input,
    keras_result,
    torch_result,
)
from tests.specs.figures import named  # noqa: E402


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - {"MobileNet"}))
def test_small_models(name: str) -> None:
    torch.manual_seed(1)
    reference = carry.randomised(PROGRAMS[name]())
    spec = nnspec.load(named(name).path, name)
    weights = carry.in_order(reference, spec.torch())
    inputs = example(name, 2)
    with torch.no_grad():
        expected = reference(inputs)
    assert_equal(torch_result(spec, weights, inputs), expected)
    found = keras_result(spec, weights, inputs)
    assert_equal(numpy.moveaxis(found, -1, 1) if found.ndim == 4 else found, expected)


@pytest.mark.parametrize("name", ["ResNet18", "ResNet50"])
def test_resnet_equals_torchvision(name: str) -> None:
    torch.manual_seed(2)
    reference = getattr(torchvision_models(), name.lower())(weights=None)
    carry.randomised(reference)
    spec = nnspec.load("specs/vision/resnet.nns", name)
    weights = carry.from_torchvision_resnet(reference)
    image = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = reference(image)
    assert_equal(torch_result(spec, weights, image), expected)
    assert_equal(keras_result(spec, weights, image), expected)


def test_gpt2_equals_transformers() -> None:
    torch.manual_seed(3)
    sizes: dict[str, Any] = {
        "depth": 3,
        "vocab": 211,
        "context": 64,
        "width": 96,
        "heads": 6,
    }
    reference = gpt2(
        n_layer=3, vocab_size=211, n_positions=64, n_embd=96, n_head=6
    ).eval()
    carry.randomised(reference)
    spec = nnspec.load("specs/language/gpt2.nns", "GPT2Small", **sizes)
    weights = carry.from_transformers_gpt2(reference)
    for length in (1, 17, 64):
        tokens = torch.randint(0, 211, (2, length))
        with torch.no_grad():
            expected = reference(tokens).logits
        assert_equal(torch_result(spec, weights, tokens), expected)
        assert_equal(keras_result(spec, weights, tokens), expected)


def shrunk(name: str) -> tuple[Spec, nn.Module, dict[str, Tensor]]:
    """A spec at small sizes, the library's model of these sizes, and its weights by the spec's names."""
    models = torchvision_models()
    constants: dict[str, Any] = {"classes": 7}
    if name == "MobileNetV2":
        stages = [
            [1, 8, 1, 1],
            [6, 12, 2, 2],
            [4, 16, 2, 2],
            [6, 24, 1, 2],
            [6, 32, 1, 2],
        ]
        constants |= {"stages": stages}
        shapes = [[t, c, n, s] for t, c, n, s in stages]
        library = models.MobileNetV2(
            7, inverted_residual_setting=shapes, round_nearest=4
        )
    elif name == "ConvNextT":
        from torchvision.models.convnext import CNBlockConfig, ConvNeXt

        constants |= {"depths": [1, 2, 1, 1], "widths": [8, 12, 16, 24]}
        sizes = [(8, 12, 1), (12, 16, 2), (16, 24, 1), (24, None, 1)]
        blocks = [CNBlockConfig(*size) for size in sizes]
        library = ConvNeXt(blocks, layer_scale=0.5, num_classes=7)
    else:
        constants |= {"depths": [1, 2, 2, 2], "heads": [1, 2, 2, 4]}
        options = {"embed_dim": 8, "depths": [1, 2, 2, 2], "num_heads": [1, 2, 2, 4]}
        constants |= {"width": 8, "size": 64, "window": 2}
        library = models.SwinTransformer(
            [4, 4], window_size=[2, 2], num_classes=7, **options
        )
    spec = nnspec.load(named(name).path, name, **constants)
    carry.randomised(library)
    if name == "MobileNetV2":
        return spec, library, carry.in_order(library, spec.torch())
    from_library = {
        "ConvNextT": carry.from_torchvision_convnext,
        "SwinT": carry.from_torchvision_swin,
    }[name]
    return spec, library, from_library(library)


@pytest.mark.parametrize("name", ["MobileNetV2", "ConvNextT", "SwinT"])
def test_small_vision_models_equal_torchvision(name: str) -> None:
    torch.manual_seed(6)
    spec, reference, weights = shrunk(name)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = reference(image)
    assert_equal(torch_result(spec, weights, image), expected)
    assert_equal(keras_result(spec, weights, image), expected)


def test_bert_equals_transformers() -> None:
    torch.manual_seed(7)
    reference = bert(
        vocab_size=211,
        max_position_embeddings=32,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=80,
    ).eval()
    carry.randomised(reference)
    sizes: dict[str, Any] = {
        "vocab": 211,
        "context": 32,
        "width": 48,
        "depth": 2,
        "heads": 4,
        "hidden": 80,
    }
    spec = nnspec.load("specs/language/bert.nns", "BERTBase", **sizes)
    tokens = torch.randint(0, 211, (2, 19))
    segment = torch.randint(0, 2, (2, 19))
    mask = torch.arange(19) < torch.tensor([[19], [11]])
    with torch.no_grad():
        found = reference(tokens, mask.long(), segment)
    expected = (found.last_hidden_state, found.pooler_output)
    weights = carry.from_transformers_bert(reference)
    model = spec.torch().eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        ours = model(tokens, segment, mask)
    keras_model = spec.keras()
    arrays = [tokens.numpy(), segment.numpy(), mask.numpy()]
    keras_model(arrays)
    carry.to_keras(spec, weights, keras_model)
    for result, keras_one, wanted in zip(
        ours, keras_model(arrays, training=False), expected, strict=True
    ):
        assert_equal(result.numpy(), wanted)
        assert_equal(keras_array(keras_one), wanted)


def test_llama31_equals_transformers() -> None:
    """With the rotations slowed down that Llama 3.1 slows down, of which 64 tokens show the fast ones."""
    torch.manual_seed(8)
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    reference = llama(
        vocab_size=211,
        hidden_size=64,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=131072,
        rope_parameters=rope,
    ).eval()
    carry.randomised(reference)
    sizes: dict[str, Any] = {
        "vocab": 211,
        "width": 64,
        "depth": 2,
        "heads": 4,
        "kv_heads": 2,
        "hidden": 80,
    }
    spec = nnspec.load("specs/language/llama.nns", "Llama31_405B", **sizes)
    weights = carry.from_transformers_llama(reference)
    tokens = torch.randint(0, 211, (2, 64))
    with torch.no_grad():
        expected = reference(tokens).logits
    assert_equal(torch_result(spec, weights, tokens), expected)
    assert_equal(keras_result(spec, weights, tokens), expected)


def test_mobilenet_equals_keras_applications() -> None:
    import keras

    keras.utils.set_random_seed(4)
    options: dict[str, Any] = {"weights": None, "classifier_activation": None}
    reference = keras.applications.MobileNet(**options)
    _randomise_keras(reference)
    spec = nnspec.load("specs/vision/mobilenet.nns", "MobileNet")
    trained = sum(int(numpy.prod(w.shape)) for w in reference.trainable_weights)
    assert spec.cost().parameters == trained
    weights = carry.from_keras_mobilenet(reference)
    image = torch.randn(2, 3, 224, 224)
    channels_last = image.numpy().transpose(0, 2, 3, 1)
    expected = keras_array(reference(channels_last, training=False))
    assert_equal(torch_result(spec, weights, image), expected)
    assert_equal(keras_result(spec, weights, image), expected)


def _randomise_keras(model: Any) -> None:
    """Statistics and affine weights off their trivial starting values."""
    generator = numpy.random.default_rng(4)
    for variable in model.variables:
        if variable.path.endswith("moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif len(variable.shape) == 1:
            variable.assign(variable + 0.1 * generator.standard_normal(variable.shape))


def test_our_reference_of_mobilenet() -> None:
    """The PyTorch reference that FLOPs are counted on is the same network."""
    torch.manual_seed(5)
    reference = carry.randomised(PROGRAMS["MobileNet"]())
    spec = nnspec.load("specs/vision/mobilenet.nns", "MobileNet")
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = reference(image)
    weights = carry.in_order(reference, spec.torch())
    assert_equal(torch_result(spec, weights, image), expected)


@pytest.mark.parametrize(
    ("name", "trainable"),
    [
        ("TextLSTM", 164_106), ("SimpleForecast", 2_651), ("StackedLSTM", 36_554),
        ("FinancialLSTM", 31_451), ("TwoLayerLSTM", 49_985), ("TwoLayerGRU", 37_889),
        ("GAN", 114_064), ("MedicalCNN", 93_954), ("TransformerBlock", 137_610),
    ],
)  # fmt: skip
def test_trainable_parameters_of_the_keras_program(name: str, trainable: int) -> None:
    """Keras has one bias for each LSTM where PyTorch has two, and counts what is frozen apart."""
    model = nnspec.load(named(name).path, name).keras()
    model(keras_input(example(name, 1)))  # makes its variables
    assert sum(int(numpy.prod(w.shape)) for w in model.trainable_weights) == trainable


def test_the_frozen_half_of_the_gan_gets_no_gradient() -> None:
    model: nn.Module = nnspec.load("specs/generative/gan.nns", "GAN").torch()
    frozen = {
        name for name, weight in model.named_parameters() if not weight.requires_grad
    }
    assert frozen == {
        n for n, _ in model.named_parameters() if n.startswith("discriminator")
    }
    assert len(frozen) == 4
