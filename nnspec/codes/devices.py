"""Codes E110x: devices, their files and their figures."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E1101",
        "there is no such device",
        "`nnspec devices` lists those of the catalogue and your own. A file of your own is named by "
        "its path, with a `/` in it or `.toml` at its end.",
        "",
        "",
    ),
    Explanation(
        "E1102",
        "the file of a device cannot be read",
        "It is no TOML: the message says where. `docs/devices.md` shows a whole file.",
        "",
        "",
    ),
    Explanation(
        "E1103",
        "a figure of a device is wrong",
        "A figure is a text with a unit, more than 0, such as `80GB` or `3.35TB/s`, alone or in a "
        "table with its source. `docs/devices.md` lists the figures and their units.",
        "",
        "",
    ),
    Explanation(
        "E1104",
        "the device has no figure for this type of element",
        "Its maker publishes no rate of matrix products for it, so nothing can be said of their time. "
        "Choose a policy that it has a figure for.",
        "",
        "",
    ),
    Explanation(
        "E1105",
        "a size is free where times are asked for",
        "Whether arithmetic or memory takes longer depends on the sizes, so a time has no formula. Give each "
        "size a number.",
        "",
        "",
    ),
    Explanation(
        "E1106",
        "an option that is no amount",
        "Tokens, images, epochs and devices are counts, more than 0, with `K`, `M`, `B` or `T` behind them: "
        "`--tokens 300B`, `--images 1.28M`. A utilisation is a share of the peak: `--mfu 0.4` or `--mfu 40%`.",
        "",
        "",
    ),
    Explanation(
        "E1107",
        "what is trained on cannot be counted",
        "Tokens are the elements of the one input that holds integers, images the first axis of the one input "
        "with more than two axes. Where there are several, or none, `--per` names the input.",
        "",
        "",
    ),
    Explanation(
        "E1108",
        "a measurement that cannot be read",
        "`nnspec calibrate --from` reads JSON or CSV. Each measurement names a spec as on the command line, seen "
        "from the folder of the file, its sizes, and the seconds of one run: a forward pass, or a training step.",
        "",
        "",
    ),
    Explanation(
        "E1109",
        "too few measurements",
        "Three factors are fitted, and each measurement is predicted once from the others to tell the error.",
        "",
        "",
    ),
    Explanation(
        "E1110",
        "a calibration that does not fit its device",
        "`NAME.calibration.toml` is written by `nnspec calibrate` and holds factors relative to the figures that "
        "the device had. When those have changed, or somebody has edited the file, calibrate again.",
        "",
        "",
    ),
    Explanation(
        "E1111",
        "a measurement that the device cannot reach",
        "The run is said to be more than a hundred times faster than the published figures of the device allow. "
        "Caches make some runs faster than the roofline, but not so much: the seconds are in another unit, are "
        "those of a part, or were taken before an asynchronous device had finished.",
        "",
        "",
    ),
    Explanation(
        "E1112",
        "a model that does not run on the device",
        "The emitted program failed while it was measured: out of memory, or an operator that the device does "
        "not have. The message is that of PyTorch.",
        "",
        "",
    ),
)
