"""One tool counting one model, in a process of its own: what `benchmarks/cost.py` runs and measures.

    python -m benchmarks.cost_peers TOOL MODEL

Prints what the tool says of FLOPs (2 x multiply-accumulates; tools that say multiply-accumulates are doubled)
and of parameters, as JSON. `truth` is PyTorch's own counter with everything counted: attention by its
plain kernel, since fused ones hide their products, without fast paths, and with the gradients of grouped
convolutions counted as what they take.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Model:
    """A model of a library, and the inputs that it is counted with: shapes, of ids where `ids`."""

    build: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    ids: bool = False
    names: tuple[str, ...] = ()


_DECLARED: list[Any] = []  # a declaration ends with its object


def declare_operators() -> None:
    """Makes torchvision importable where its compiled operators do not load: no model here uses them.

    transformers and ptflops import it too.
    """
    try:
        import_module("torchvision")
    except RuntimeError:
        import torch

        library = torch.library.Library("torchvision", "DEF")
        boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(f"nms{boxes}")
        library.define(f"qnms{boxes}")
        _DECLARED.append(library)
        import_module("torchvision")


def _torchvision(name: str) -> Callable[[], Any]:
    def build() -> Any:
        import torchvision

        return getattr(torchvision.models, name)(weights=None)

    return build


def _transformers(name: str, config: str, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        import transformers

        settings = getattr(transformers, config)(**options)
        return getattr(transformers, name)(settings)

    return build


def _unet() -> Any:
    return import_module("benchmarks.unet").UNet()


def _recurrent(name: str, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        import torch

        return getattr(torch.nn, name)(64, 128, 2, batch_first=True, **options)

    return build


IMAGE = ((1, 3, 224, 224),)
STEPS = ((1, 60, 64),)
MODELS: Mapping[str, Model] = {
    "ResNet50": Model(_torchvision("resnet50"), IMAGE),
    "MobileNetV2": Model(_torchvision("mobilenet_v2"), IMAGE),
    "ViTB16": Model(_torchvision("vit_b_16"), IMAGE),
    "SwinT": Model(_torchvision("swin_t"), IMAGE),
    "ConvNextT": Model(_torchvision("convnext_tiny"), IMAGE),
    "EfficientNetB0": Model(_torchvision("efficientnet_b0"), IMAGE),
    "UNet64": Model(_unet, ((1, 3, 256, 256),)),
    "BERTBase": Model(
        _transformers("BertModel", "BertConfig"), ((1, 128),), True, ("input_ids",)
    ),
    "GPT2Small": Model(
        _transformers("GPT2LMHeadModel", "GPT2Config"),
        ((1, 1024),),
        True,
        ("input_ids",),
    ),
    "T5Small": Model(
        _transformers("T5ForConditionalGeneration", "T5Config"),
        ((1, 128), (1, 128)),
        True,
        ("input_ids", "decoder_input_ids"),
    ),
    "LSTMEncoder": Model(_recurrent("LSTM"), STEPS),
    "BiLSTMEncoder": Model(_recurrent("LSTM", bidirectional=True), STEPS),
    "GRUEncoder": Model(_recurrent("GRU"), STEPS),
}


def inputs_of(model: Model) -> list[Any]:
    import torch

    kind = torch.int64 if model.ids else torch.float32
    return [torch.zeros(shape, dtype=kind) for shape in model.shapes]


def _called(model: Model, built: Any) -> Any:
    inputs = inputs_of(model)
    if model.names:
        return built(**dict(zip(model.names, inputs, strict=True)))
    return built(*inputs)


def _parameters(built: Any) -> int:
    return sum(weight.numel() for weight in built.parameters())


# ---- the tools --------------------------------------------------------------------------------------


def truth(model: Model, built: Any) -> dict[str, Any]:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    torch.backends.mha.set_fastpath_enabled(False)
    with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
        return flop_counter(model, built)


def flop_counter(model: Model, built: Any) -> dict[str, Any]:
    """FlopCounterMode as it is."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        _called(model, built)
    return {"flops": counter.get_total_flops(), "parameters": _parameters(built)}


def torchinfo(model: Model, built: Any) -> dict[str, Any]:
    from torchinfo import summary  # pyright: ignore[reportMissingImports]

    if model.names:
        inputs = dict(zip(model.names, inputs_of(model), strict=True))
        found = summary(built, input_data=inputs, verbose=0)
    else:
        found = summary(built, input_data=inputs_of(model), verbose=0)
    return {"flops": 2 * found.total_mult_adds, "parameters": found.total_params}


def fvcore(model: Model, built: Any) -> dict[str, Any]:
    import logging

    from fvcore.nn import FlopCountAnalysis, parameter_count  # pyright: ignore[reportMissingImports]

    logging.disable(logging.WARNING)
    if model.names:  # inputs by position only, and no results but tensors
        built = _ByName(built, model.names).module
    analysis = FlopCountAnalysis(built, tuple(inputs_of(model)))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return {
        "flops": 2 * int(analysis.total()),
        "parameters": parameter_count(built)[""],
    }


class _ByName:
    """A module that takes by position what another takes by name, and gives its first result."""

    def __init__(self, built: Any, names: tuple[str, ...]) -> None:
        import torch

        class Module(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = built

            def forward(self, *inputs: Any) -> Any:
                return self.inner(**dict(zip(names, inputs, strict=True)))[0]

        self.module = Module().eval()


def ptflops(model: Model, built: Any) -> dict[str, Any]:
    from ptflops import get_model_complexity_info  # pyright: ignore[reportMissingImports]

    def constructor(_: Any) -> dict[str, Any]:
        return dict(zip(model.names, inputs_of(model), strict=True))

    macs, parameters = get_model_complexity_info(
        built,
        model.shapes[0][1:],  # of one image or sequence, which it makes itself
        input_constructor=constructor if model.names else None,
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        backend="pytorch",
    )
    if macs is None:
        raise RuntimeError("it could not run the model")
    return {"flops": 2 * int(macs), "parameters": int(parameters or 0)}


TOOLS: Mapping[str, Callable[[Model, Any], dict[str, Any]]] = {
    "truth": truth,
    "torchinfo": torchinfo,
    "fvcore": fvcore,
    "ptflops": ptflops,
    "FlopCounterMode": flop_counter,
}


def main() -> None:
    tool, name = sys.argv[1:]
    declare_operators()
    model = MODELS[name]
    built = model.build().eval()
    print(json.dumps(TOOLS[tool](model, built)))


if __name__ == "__main__":
    main()
