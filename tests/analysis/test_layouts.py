"""How results lie in memory, by how operands do: each case is run for real and compared to the byte.

A layer behind that wants its input in order copies what lies otherwise, which the figures show.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.framework

from nnspec.analysis.analysis import Analysis  # noqa: E402
from tests.analysis import measured  # noqa: E402
from tests.analysis.counted import inputs_of  # noqa: E402
from tests.ir.models import spec  # noqa: E402

LAST = 'rearrange("b c h w -> b h w c") -> LayerNorm -> rearrange("b h w c -> b c h w")'
SWAPPED = 'rearrange("b t d -> b d t") -> Conv(6, 3, padding=1) -> rearrange("b d t -> b t d")'

OF_IMAGES = {
    "convolution": "Conv(6, 5, padding=2)",
    "dilated convolution of a part": "split(2, dim=1)[0] -> Conv(4, 3, padding=2, dilation=2)",
    "transposed convolution": "ConvTranspose(6, 2, stride=2)",
    "maximum": "max_pool(2)",
    "mean": "avg_pool(3, stride=2, padding=1)",
    "adaptive": "adaptive_avg_pool([3, 2])",
    "nearest": "resize([12, 15])",
    "bilinear": 'resize([12, 15], method="bilinear")',
    "unshuffled": "pixel_unshuffle(2)",
    "shuffled": "pixel_shuffle(2)",
    "padded": "pad([[1, 1], [0, 2]])",
    "reflected": 'pad([[1, 1], [0, 2]], mode="reflect")',
    "rolled": "roll(1, dim=2)",
    "flipped": "flip(2)",
    "sorted": "sort(dim=1)",
    "summed up": "cumsum(dim=1)",
    "halved": "glu(dim=1)",
    "groups": "GroupNorm(2)",
    "batches": "BatchNorm",
    "instances": "InstanceNorm",
    "logarithm": "log_sigmoid",
}
OF_SEQUENCES = {
    "rolled": "roll(2, dim=1)",
    "summed up": "cumsum(dim=1)",
    "sorted": "sort(dim=1)",
    "halved": "glu(dim=-1)",
    "logarithm": "log_sigmoid",
    "pooled": 'rearrange("b t d -> b d t") -> max_pool(2) -> rearrange("b d t -> b t d")',
    "batches": 'rearrange("b t d -> b d t") -> BatchNorm -> rearrange("b d t -> b t d")',
}
JOINED = {
    "two that lie alike": "concat([y, relu(y)], dim=1)",
    "two that lie apart": "concat([y, x], dim=1)",
    "stacked": "stack([y, y], dim=1) -> mean(dim=1)",
    "stacked behind": "stack([y, y], dim=4) -> mean(dim=4)",
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", OF_IMAGES)
def test_images_with_their_channels_last(name: str, batch: int) -> None:
    body = f"input x: [B, 4, 6, 8]\n y = x -> {LAST}\n z = y -> {OF_IMAGES[name]}"
    compare(body.replace("y -> split(2, dim=1)[0]", "y[:, :2]"), {"B": batch})


@pytest.mark.parametrize("name", OF_SEQUENCES)
@pytest.mark.parametrize("batch", [1, 3])
def test_sequences_with_their_channels_first(name: str, batch: int) -> None:
    body = f"input x: [B, T, 6]\n y = x -> {SWAPPED}\n z = y -> {OF_SEQUENCES[name]}"
    compare(body, {"B": batch, "T": 5})


@pytest.mark.parametrize("name", JOINED)
def test_tensors_that_are_put_together(name: str) -> None:
    body = f"input x: [B, 4, 6, 8]\n y = x -> {LAST}\n z = {JOINED[name]}"
    compare(body, {"B": 3})


def test_a_maximum_over_a_length_that_is_open() -> None:
    """Its places are asked for, and the values are the first of two results."""
    body = (
        "input x: [B, T, 6]\n y = x -> Linear(4) -> rearrange('b t d -> b d t')"
        " -> max_pool(2) -> rearrange('b d t -> b t d')\n z = y -> Linear(3)"
    )
    compare(body.replace("'", '"'), {"B": 3, "T": 7})


@pytest.mark.parametrize("layer", ["DropPath(0.1)", "PReLU"])
def test_what_needs_no_gradient_goes_at_once(layer: str) -> None:
    compare(f"input x: [B, 3, 6, 4]\n z = x -> {layer}", {"B": 3})


def compare(body: str, sizes: dict[str, int]) -> None:
    model = spec(f"model M {{ {body}\n output out = z -> Linear(2) }}")
    truth = measured.memory_of(measured.built(model), inputs_of(model, sizes))
    analysis = Analysis(model.program)
    assert {name: analysis.at(name, sizes).value for name in truth} == truth
