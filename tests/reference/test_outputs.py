"""With a reference's weights, both emitted programs compute what the reference computes."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.framework

import numpy  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import nnspec  # noqa: E402
from nnspec.compiler import Spec  # noqa: E402
from tests.reference import carry  # noqa: E402
from tests.reference.libraries import gpt2, torchvision_models  # noqa: E402
from tests.reference.programs import PROGRAMS, example  # noqa: E402
from tests.specs.figures import named  # noqa: E402

TOLERANCE = 1e-5


def torch_result(
    spec: Spec, weights: dict[str, Tensor], inputs: Tensor
) -> numpy.ndarray:
    """What the emitted PyTorch program computes with these weights, all of which it must have."""
    model = spec.torch().eval()
    counts = {k: v for k, v in model.state_dict().items() if k.endswith(carry.COUNT)}
    model.load_state_dict({**counts, **weights})
    with torch.no_grad():
        return model(inputs).numpy()


def keras_result(
    spec: Spec, weights: dict[str, Tensor], inputs: Tensor
) -> numpy.ndarray:
    """What the emitted Keras program computes; images go in with their channels last."""
    array = keras_input(inputs)
    model = spec.keras()
    model(array[:1])  # makes its variables
    carry.to_keras(spec, weights, model)
    return keras_array(model(array, training=False))


def keras_input(inputs: Tensor) -> numpy.ndarray:
    """An input as Keras takes it: images with their channels last."""
    array = inputs.numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def keras_array(value: Any) -> numpy.ndarray:
    """A tensor of Keras as an array."""
    import keras

    array: Any = keras.ops.convert_to_numpy(value)
    return array


def assert_equal(found: numpy.ndarray, expected: Tensor | numpy.ndarray) -> None:
    """Equal to 1e-5, relative to the largest value that is expected."""
    wanted = numpy.asarray(expected)
    assert found.shape == wanted.shape
    assert numpy.abs(wanted).max() > 0
    error = numpy.abs(found - wanted).max() / max(1.0, numpy.abs(wanted).max())
    assert error < TOLERANCE


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
