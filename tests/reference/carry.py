"""Weights from a reference to the programs that nnspec emits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch
from safetensors.numpy import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from nnspec.spec import Spec

COUNT = "num_batches_tracked"


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The state dict, each tensor a copy of its own."""
    return {key: value.clone() for key, value in model.state_dict().items()}


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with statistics and affine weights off their trivial starting values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.ndim == 1 and value.is_floating_point():
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return model.eval()


def in_order(reference: nn.Module, model: nn.Module) -> dict[str, Tensor]:
    """The reference's weights under the model's names, both having their layers in the same order."""
    given = weights_of(reference)
    names = list(model.state_dict())
    assert len(given) == len(names)
    found = dict(zip(names, given.values(), strict=True))
    for name, value in model.state_dict().items():
        assert found[name].shape == value.shape, name
    return found


def to_keras(spec: Spec, weights: Mapping[str, Tensor], model: Any) -> None:
    """Puts PyTorch weights into the emitted Keras model, by way of `convert_weights`."""
    data = save_tensors({key: value.contiguous() for key, value in weights.items()})
    assign(model, load_tensors(spec.convert_weights(data, "torch", "keras").data))


def assign(model: Any, tensors: Mapping[str, numpy.ndarray]) -> None:
    """Gives every variable of a Keras model its tensor, by path."""
    left = dict(tensors)
    for variable in model.variables:
        if "seed_generator" in variable.path:
            continue
        path = variable.path
        key = path if path in left else path.removeprefix(f"{model.name}/")
        variable.assign(left.pop(key))
    assert not left


# ---- names ----------------------------------------------------------------------------------------


def from_torchvision_resnet(reference: nn.Module) -> dict[str, Tensor]:
    """`layer2.0.downsample.1.weight` -> `layers.1.0.batch_norm.weight`, and so on."""
    rules = (
        (r"^conv1\.", "stem."),
        (r"^bn1\.", "batch_norm."),
        (r"^fc\.", "head."),
        (r"^layer(\d)\.", lambda match: f"layers.{int(match[1]) - 1}."),
        (r"downsample\.0\.", "shortcut."),
        (r"downsample\.1\.", "batch_norm."),
    )
    found: dict[str, Tensor] = {}
    for key, value in weights_of(reference).items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        found[key] = value
    return found


def from_transformers_gpt2(reference: nn.Module) -> dict[str, Tensor]:
    """transformers keeps matrices as [inputs, outputs], and the tied head under two names."""
    names = {
        "ln_1": "layer_norm", "attn.c_attn": "qkv", "attn.c_proj": "proj",
        "ln_2": "layer_norm_2", "mlp.c_fc": "fc", "mlp.c_proj": "out",
    }  # fmt: skip
    found: dict[str, Tensor] = {}
    for key, value in weights_of(reference).items():
        if key == "lm_head.weight":
            continue
        key = key.removeprefix("transformer.").replace("ln_f.", "layer_norm.")
        match = re.fullmatch(r"h\.(\d+)\.(.+)\.(weight|bias)", key)
        if match is not None:
            number, layer, weight = match.groups()
            key = f"blocks.{number}.{names[layer]}.{weight}"
            value = value.T if value.ndim == 2 else value
        found[key] = value
    return found


def renamed(
    reference: nn.Module, rules: Sequence[tuple[str, Any]], left_out: str = r"$^"
) -> dict[str, Tensor]:
    """The reference's weights under the names that regular expressions make of theirs, one after another."""
    found: dict[str, Tensor] = {}
    for key, value in weights_of(reference).items():
        if re.search(left_out, key):
            continue
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        found[key] = value
    return found


def _half(match: re.Match[str]) -> str:
    return str(int(match[1]) // 2)


def from_torchvision_convnext(reference: nn.Module) -> dict[str, Tensor]:
    """`features.3.0.block.2.weight` -> `layers.1.0.norm.weight`, and so on."""
    rules = (
        (r"^features\.0\.0\.", "stem."),
        (r"^features\.0\.1\.", "stem_norm."),
        (r"^features\.([246])\.0\.", lambda m: f"down_norm.{_half(m)}."),
        (r"^features\.([246])\.1\.", lambda m: f"down.{_half(m)}."),
        (r"^features\.(\d)\.", lambda m: f"layers.{_half(m)}."),
        (r"block\.0\.", "depthwise."),
        (r"block\.2\.", "norm."),
        (r"block\.3\.", "mlp.fc1."),
        (r"block\.5\.", "mlp.fc2."),
        (r"layer_scale$", "layer_scale.gamma"),
        (r"^classifier\.0\.", "norm."),
        (r"^classifier\.2\.", "head."),
    )
    found = renamed(reference, rules)
    return {
        key: value.flatten() if key.endswith("gamma") else value
        for key, value in found.items()
    }


def from_torchvision_densenet(reference: nn.Module) -> dict[str, Tensor]:
    """`features.denseblock2.denselayer3.conv1.weight` -> `layers.1.2.conv1.weight`, and so on."""
    last = max(re.findall(r"denseblock(\d)", " ".join(reference.state_dict())))
    rules = (
        (r"^features\.conv0\.", "stem."),
        (r"^features\.norm0\.", "stem_norm."),
        (r"^features\.norm5\.", "norm."),
        (r"^features\.", ""),
        (r"^transition(\d)", lambda m: f"transition.{int(m[1]) - 1}"),
        (r"denselayer(\d+)", lambda m: str(int(m[1]) - 1)),
        (rf"^denseblock{last}", "last"),
        (r"^denseblock(\d)", lambda m: f"layers.{int(m[1]) - 1}"),
        (r"^classifier\.", "head."),
    )
    return renamed(reference, rules)


def from_torchvision_swin(reference: nn.Module) -> dict[str, Tensor]:
    """`features.3.0.attn.qkv.weight` -> `layers.1.0.attn.qkv.weight`, and so on."""
    rules = (
        (r"^features\.0\.0\.", "patch_embed."),
        (r"^features\.0\.2\.", "patch_norm."),
        (r"^features\.([246])\.", lambda m: f"merge.{_half(m)}."),
        (r"^features\.(\d)\.", lambda m: f"layers.{_half(m)}."),
        (r"reduction\.", "reduce."),
        (r"relative_position_bias_table", "table"),
        (r"mlp\.0\.", "mlp.fc1."),
        (r"mlp\.3\.", "mlp.fc2."),
    )
    return renamed(reference, rules, left_out="relative_position_index")


def from_transformers_bert(reference: nn.Module) -> dict[str, Tensor]:
    """Queries, keys and values of transformers' BERT lie in one matrix here."""
    rules = (
        (r"^embeddings\.word_embeddings", "words"),
        (r"^embeddings\.token_type_embeddings", "kinds"),
        (r"^embeddings\.position_embeddings", "places"),
        (r"^embeddings\.LayerNorm", "norm"),
        (r"^encoder\.layer\.", "layers."),
        (r"attention\.output\.dense", "attn.proj"),
        (r"attention\.output\.LayerNorm", "norm1"),
        (r"intermediate\.dense", "mlp.fc1"),
        (r"output\.dense", "mlp.fc2"),
        (r"output\.LayerNorm", "norm2"),
        (r"^pooler\.dense", "pooler"),
    )
    found = renamed(reference, rules, left_out="position_ids")
    parts = ("query", "key", "value")
    for key in [key for key in found if "attention.self.query" in key]:
        joined = [found.pop(key.replace("query", part)) for part in parts]
        found[key.replace("attention.self.query", "attn.qkv")] = torch.cat(joined)
    return found


def from_transformers_llama(reference: nn.Module) -> dict[str, Tensor]:
    """`model.layers.0.self_attn.q_proj.weight` -> `layers.0.attn.q_proj.weight`, and so on."""
    rules = (
        (r"^model\.", ""),
        (r"^embed_tokens", "embed"),
        (r"self_attn", "attn"),
        (r"input_layernorm", "input_norm"),
        (r"post_attention_layernorm", "post_norm"),
    )
    return renamed(reference, rules)


def from_keras_mobilenet(reference: Any) -> dict[str, Tensor]:
    """The variables of keras.applications' MobileNet in PyTorch's names and layouts."""
    found: dict[str, Tensor] = {}

    def kernel(name: str, layer: str, *axes: int) -> None:
        value = reference.get_layer(layer).kernel
        found[f"{name}.weight"] = _tensor(value).permute(axes)

    def norm(name: str, layer: str) -> None:
        source = reference.get_layer(layer)
        for ours, theirs in (
            ("weight", source.gamma), ("bias", source.beta),
            ("running_mean", source.moving_mean), ("running_var", source.moving_variance),
        ):  # fmt: skip
            found[f"{name}.{ours}"] = _tensor(theirs)

    kernel("stem", "conv1", 3, 2, 0, 1)
    norm("norm", "conv1_bn")
    for i in range(13):
        kernel(f"layers.{i}.depthwise", f"conv_dw_{i + 1}", 2, 3, 0, 1)
        norm(f"layers.{i}.bn1", f"conv_dw_{i + 1}_bn")
        kernel(f"layers.{i}.pointwise", f"conv_pw_{i + 1}", 3, 2, 0, 1)
        norm(f"layers.{i}.bn2", f"conv_pw_{i + 1}_bn")
    head = reference.get_layer("conv_preds")
    found["head.weight"] = _tensor(head.kernel)[0, 0].T
    found["head.bias"] = _tensor(head.bias)
    return found


def _tensor(variable: Any) -> Tensor:
    import keras

    return torch.from_numpy(numpy.array(keras.ops.convert_to_numpy(variable)))
