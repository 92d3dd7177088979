"""The models of the specs as the libraries define them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn


@cache
def torchvision_models() -> Any:
    """`torchvision.models`.

    Some builds of torchvision come without compiled operators, and cannot be imported unless the two that
    they describe are declared. No model here uses them.
    """
    try:
        import torchvision
    except RuntimeError:
        declared = torch.library.Library("torchvision", "DEF")
        declared.define(
            "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
        declared.define(
            "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
        _DECLARED.append(declared)
        import torchvision
    return torchvision.models


_DECLARED: list[torch.library.Library] = []  # a declaration ends with its object


def gpt2(**sizes: int) -> nn.Module:
    """transformers' GPT-2 with its tied head, returning logits."""
    from transformers import GPT2Config, GPT2LMHeadModel

    options: dict[str, Any] = {"attn_implementation": "eager", "use_cache": False}
    return GPT2LMHeadModel(GPT2Config(**sizes, **options))


def bert(**sizes: int) -> nn.Module:
    """transformers' BERT with its pooler, returning the last hidden states and the pooled first one."""
    from transformers import BertConfig, BertModel

    options: dict[str, Any] = {"attn_implementation": "eager"}
    return BertModel(BertConfig(**sizes, **options))


def llama(**sizes: Any) -> nn.Module:
    """transformers' Llama, returning logits."""
    from transformers import LlamaConfig, LlamaForCausalLM

    options: dict[str, Any] = {"attn_implementation": "eager", "use_cache": False}
    return LlamaForCausalLM(LlamaConfig(rms_norm_eps=1e-5, **sizes, **options))


def mixer() -> nn.Module:
    """timm's MLP-Mixer, which needs `torchvision_models` for what it imports."""
    torchvision_models()
    import timm

    return timm.create_model("mixer_b16_224")


def regnet() -> nn.Module:
    """torchvision's RegNetY-400MF, which computes its widths and so is not made on the meta device."""
    with torch.device("cpu"):
        network = torchvision_models().regnet_y_400mf(weights=None)
    return network.to("meta")


def googlenet() -> nn.Module:
    """torchvision's GoogLeNet without auxiliary classifiers."""
    return torchvision_models().googlenet(
        weights=None, aux_logits=False, init_weights=False
    )


LIBRARY: dict[str, Callable[[], nn.Module]] = {
    "ResNet18": lambda: torchvision_models().resnet18(weights=None),
    "ResNet50": lambda: torchvision_models().resnet50(weights=None),
    "ResNet101": lambda: torchvision_models().resnet101(weights=None),
    "EfficientNetB0": lambda: torchvision_models().efficientnet_b0(weights=None),
    "ViTB16": lambda: torchvision_models().vit_b_16(weights=None),
    "ViTL16": lambda: torchvision_models().vit_l_16(weights=None),
    "MobileNetV2": lambda: torchvision_models().mobilenet_v2(weights=None),
    "ConvNextT": lambda: torchvision_models().convnext_tiny(weights=None),
    "ConvNextB": lambda: torchvision_models().convnext_base(weights=None),
    "SwinT": lambda: torchvision_models().swin_t(weights=None),
    "SwinB": lambda: torchvision_models().swin_b(weights=None),
    "AlexNet": lambda: torchvision_models().alexnet(weights=None),
    "VGG16": lambda: torchvision_models().vgg16(weights=None),
    "GoogLeNet": googlenet,
    "DenseNet121": lambda: torchvision_models().densenet121(weights=None),
    "DenseNet169": lambda: torchvision_models().densenet169(weights=None),
    "DenseNet201": lambda: torchvision_models().densenet201(weights=None),
    "MobileNetV3Large": lambda: torchvision_models().mobilenet_v3_large(weights=None),
    "MobileNetV3Small": lambda: torchvision_models().mobilenet_v3_small(weights=None),
    "SqueezeNet": lambda: torchvision_models().squeezenet1_1(weights=None),
    "RegNetY400MF": regnet,
    "MixerB16": mixer,
    "BERTBase": bert,
    "Llama2_7B": lambda: llama(vocab_size=32000),
    "GPT2Small": gpt2,
    "GPT2XL": lambda: gpt2(n_embd=1600, n_layer=48, n_head=25),
}
