"""Image networks, small, with torchvision's weights: both emitted programs compute what torchvision computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

pytestmark = pytest.mark.framework

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import nnspec  # noqa: E402
from nnspec.spec import Spec  # noqa: E402
from tests.reference import carry  # noqa: E402
from tests.reference.libraries import torchvision_models  # noqa: E402
from tests.reference.results import (  # noqa: E402
    assert_equal,
    keras_result,
    torch_result,
)
from tests.specs.figures import named  # noqa: E402


@dataclass(frozen=True)
class Small:
    """torchvision's network at small sizes, and the constants that make the spec as small.

    `weights` names torchvision's weights as the spec does; without it, both have them in the same order.
    """

    library: Callable[[], nn.Module]
    constants: dict[str, Any]
    weights: Callable[[nn.Module], dict[str, Tensor]] | None = None
    side: int = 64

    def carried(self, reference: nn.Module, spec: Spec) -> dict[str, Tensor]:
        """The reference's weights by the spec's names."""
        if self.weights is not None:
            return self.weights(reference)
        return carry.in_order(reference, spec.torch())


SMALL = {
    "DenseNet121": Small(
        lambda: torchvision_models().DenseNet(4, (2, 1, 2), 8, num_classes=7),
        {"depths": [2, 1, 2], "growth": 4, "classes": 7},
        carry.from_torchvision_densenet,
    ),
    "MobileNetV3Large": Small(
        lambda: torchvision_models().mobilenet_v3_large(num_classes=7), {"classes": 7}
    ),
    "MobileNetV3Small": Small(
        lambda: torchvision_models().mobilenet_v3_small(num_classes=7), {"classes": 7}
    ),
    "RegNetY400MF": Small(
        lambda: torchvision_models().regnet_y_400mf(num_classes=7), {"classes": 7}
    ),
    "SqueezeNet": Small(
        lambda: torchvision_models().squeezenet1_1(num_classes=7),
        {"classes": 7, "size": 64},
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_outputs_equal_those_of_torchvision(name: str) -> None:
    torch.manual_seed(9)
    small = SMALL[name]
    reference = carry.randomised(small.library())
    spec = nnspec.load(named(name).path, name, **small.constants)
    weights = small.carried(reference, spec)
    image = torch.randn(2, 3, small.side, small.side)
    with torch.no_grad():
        expected = reference(image)
    assert_equal(torch_result(spec, weights, image), expected)
    assert_equal(keras_result(spec, weights, image), expected)
