"""What every spec must count, as published or as the reference programs count it.

FLOPs are those of a forward pass in evaluation mode for a batch of one: 2 x multiply-accumulates of
convolutions and matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figures:
    """A model of a spec file, its constants and sizes, and what it must count."""

    file: str
    model: str
    parameters: int
    flops: int
    symbols: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)
    frozen: int = 0

    @property
    def path(self) -> str:
        """The spec file."""
        return f"specs/{self.file}.nns"

    def __str__(self) -> str:
        return self.model


# The specs that are compiled, verified and kept as golden files.
COMPILED = (
    Figures("basic/perceptron", "Perceptron", 3, 4),
    Figures("basic/perceptron", "HiddenLayer", 13, 18),
    Figures("basic/mlp", "DigitMLP", 109_386, 218_368),
    Figures("basic/mlp", "RegressionMLP", 897, 1_696),
    Figures("vision/cnn", "CNN28", 121_930, 5_056_000),
    Figures("vision/cnn", "CNN32Base", 56_320, 8_964_864),
    Figures("vision/cnn", "CNN32", 122_570, 9_097_216),
    Figures("sequence/recurrent", "TextLSTM", 164_618, 19_663_360, {"T": 100}),
    Figures("sequence/recurrent", "SimpleForecast", 2_701, 102_100, {"T": 20}),
    Figures("sequence/recurrent", "StackedLSTM", 36_938, 2_007_680, {"T": 28}),
    Figures("sequence/recurrent", "FinancialLSTM", 31_851, 3_720_100, {"T": 60}),
    Figures("sequence/recurrent", "TwoLayerLSTM", 50_497, 5_929_088, {"T": 60}),
    Figures("sequence/recurrent", "TwoLayerGRU", 37_889, 4_446_848, {"T": 60}),
    Figures("generative/gan", "Generator", 114_064, 226_304),
    Figures("generative/gan", "Discriminator", 100_609, 200_960),
    Figures("generative/gan", "GAN", 214_673, 427_264, frozen=100_609),
    Figures("generative/autoencoder", "Encoder", 25_120, 50_176),
    Figures("generative/autoencoder", "Decoder", 25_872, 50_176),
    Figures("generative/autoencoder", "Autoencoder", 50_992, 100_352),
    Figures("vision/medical", "MedicalCNN", 93_954, 921_865_472),
    Figures("vision/medical", "MedicalCNNSame", 93_954, 1_011_548_672),
    Figures(
        "language/transformer_block", "TransformerBlock", 137_610, 2_920_960, {"T": 10}
    ),
    Figures("vision/lenet", "LeNet5", 61_706, 833_040),
    Figures("vision/resnet", "ResNet18", 11_689_512, 3_628_146_688),
    Figures("vision/resnet", "ResNet50", 25_557_032, 8_178_368_512),
    Figures("vision/resnet", "ResNet101", 44_549_160, 15_602_810_880),
    Figures("vision/mobilenet", "MobileNet", 4_231_976, 1_137_480_704),
    Figures("vision/digits", "DigitsCNN", 38_282, 675_072),
    Figures(
        "vision/mobilenet_v2",
        "MobileNetV2",
        3_504_872,
        601_548_544,
        {"H": 224, "W": 224},
    ),
    Figures(
        "vision/convnext", "ConvNextT", 28_589_128, 8_911_062_528, {"H": 224, "W": 224}
    ),
    Figures("vision/swin", "SwinT", 28_288_354, 8_981_133_312),
    Figures("vision/mixer", "MixerB16", 59_880_472, 25_203_535_872),
    Figures("vision/alexnet", "AlexNet", 61_100_840, 1_428_376_960),
    Figures("vision/vgg", "VGG16", 138_357_544, 30_940_528_640),
    Figures(
        "vision/googlenet", "GoogLeNet", 6_624_904, 2_996_752_384, {"H": 224, "W": 224}
    ),
    Figures(
        "vision/densenet",
        "DenseNet121",
        7_978_856,
        5_668_323_328,
        {"H": 224, "W": 224},
    ),
    Figures(
        "vision/mobilenet_v3",
        "MobileNetV3Large",
        5_483_032,
        433_179_520,
        {"H": 224, "W": 224},
    ),
    Figures("vision/squeezenet", "SqueezeNet", 1_235_496, 698_303_872),
    Figures("sequence/encoders", "LSTMEncoder", 231_424, 27_525_120, {"T": 60}),
    Figures("sequence/encoders", "BiLSTMEncoder", 593_920, 70_778_880, {"T": 60}),
    Figures("sequence/encoders", "GRUEncoder", 173_568, 20_643_840, {"T": 60}),
    Figures("language/bert", "BERTBase", 109_482_240, 22_348_431_360, {"T": 128}),
    Figures(
        "language/llama", "Llama2_7B", 6_738_415_616, 29_261_612_187_648, {"T": 2048}
    ),
    Figures("language/gpt2", "GPT2Small", 124_439_808, 291_648_307_200, {"T": 1024}),
)

# The rest of the collection.
OTHERS = (
    Figures("vision/vit", "ViTB16", 86_567_656, 35_127_656_448),
    Figures("vision/vit", "ViTL16", 304_326_632, 123_109_425_152),
    Figures(
        "vision/convnext", "ConvNextB", 88_591_464, 30_709_458_944, {"H": 224, "W": 224}
    ),
    Figures("vision/swin", "SwinB", 87_768_224, 30_861_893_632),
    Figures(
        "language/llama",
        "Llama31_405B",
        405_853_388_800,
        1_688_386_003_795_968,
        {"T": 2048},
    ),
    Figures("vision/efficientnet", "EfficientNetB0", 5_288_548, 771_629_504),
    Figures(
        "vision/unet",
        "UNet64",
        31_037_633,
        96_334_774_272,
        {"H": 256, "W": 256},
        {"classes": 1},
    ),
    Figures("language/gpt2", "GPT2XL", 1_557_611_200, 3_506_703_564_800, {"T": 1024}),
    Figures(
        "language/llama", "Llama3_8B", 8_030_261_248, 32_938_104_193_024, {"T": 2048}
    ),
    Figures(
        "language/llama",
        "Llama3_70B",
        70_553_706_496,
        295_674_138_591_232,
        {"T": 2048},
    ),
    Figures("language/t5", "T5Small", 60_506_624, 16_089_350_144, {"S": 128, "T": 128}),
    Figures(
        "language/transformer",
        "TransformerBase",
        63_082_496,
        8_212_971_520,
        {"S": 64, "T": 64},
    ),
    Figures(
        "vision/shufflenet",
        "ShuffleNetV2x1",
        2_278_604,
        289_815_984,
        {"H": 224, "W": 224},
    ),
    Figures(
        "vision/densenet",
        "DenseNet169",
        14_149_480,
        6_719_686_656,
        {"H": 224, "W": 224},
    ),
    Figures(
        "vision/densenet",
        "DenseNet201",
        20_013_928,
        8_582_731_776,
        {"H": 224, "W": 224},
    ),
    Figures(
        "vision/mobilenet_v3",
        "MobileNetV3Small",
        2_542_856,
        113_020_800,
        {"H": 224, "W": 224},
    ),
    Figures(
        "vision/regnet",
        "RegNetY400MF",
        4_344_144,
        803_685_696,
        {"H": 224, "W": 224},
    ),
)
ALL = COMPILED + OTHERS


def named(model: str) -> Figures:
    """The figures of one model."""
    (found,) = [figures for figures in ALL if figures.model == model]
    return found
