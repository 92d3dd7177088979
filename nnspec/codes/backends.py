"""Codes E06xx and E08xx: emitted programs, their weights, the proof."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "W0601",
        "an annotation without effect in the emitted program",
        "`@checkpoint` and `@device` plan memory and placement. Emitted programs compute blocks "
        "that are marked `@checkpoint` again in the backward pass, unless they keep statistics of "
        "batches. `@device` is for `nnspec place`, whose plan `nnspec compile --plan` follows; a "
        "program for one device has no use for it. Values are the same with and without them.",
        "",
        "",
    ),
    Explanation(
        "W0602",
        "a layer that the Keras program lacks",
        "Keras makes weights where a layer is applied, and a model has the layers between its "
        "inputs and outputs. No output hangs on this one: the PyTorch program has its weights, unused, "
        "and so do the figures; the Keras program does not. Delete it, or use what it gives.",
        "",
        "",
    ),
    Explanation(
        "E0601",
        "a weight that Keras cannot share",
        "This kind of layer keeps its weight where no other Keras layer can "
        "reach it. Share the layer itself: make it once and call it twice.",
        "",
        "",
    ),
    Explanation(
        "E0602",
        "a program that cannot be written",
        "The spec is right, and nnspec does not know how to write it for this backend.",
        "",
        "",
    ),
    Explanation(
        "E0603",
        "a constant that only run time knows",
        "A block is given a size as a constant, and the size is known at run "
        "time only. Let the block take it from the shape of its input.",
        "",
        "",
    ),
    Explanation(
        "E0604",
        "two layers would have one name",
        "A name that a framework reserves gets a `_` behind it, and the path of a "
        "layer is joined by `_` in Keras. Where two layers would then have one "
        "name, one of them needs another label.",
        "",
        "",
    ),
    Explanation(
        "E0801",
        "the weights cannot be read",
        "The file is not in the safetensors format, or is cut off.",
        "",
        "",
    ),
    Explanation(
        "E0802",
        "weights are missing",
        "The model has weights that the file does not hold: it belongs to "
        "another model, or to other constants.",
        "",
        "",
    ),
    Explanation(
        "E0803",
        "weights too many",
        "The file holds weights that the model does not have: it belongs to "
        "another model, or to other constants.",
        "",
        "",
    ),
    Explanation(
        "E0804",
        "weights of another shape",
        "The names agree and the sizes do not: give the constants that the "
        "model was trained with.",
        "",
        "",
    ),
    Explanation(
        "E0805",
        "the weights are of that backend already",
        "Choose the other backend as the target.",
        "",
        "",
    ),
    Explanation(
        "E0806",
        "a package is missing",
        "Reading and writing weights needs NumPy and safetensors: `pip install "
        "'nnspec[weights]'`.",
        "",
        "",
    ),
    Explanation(
        "E0807",
        "no sizes to prove the model on",
        "The requirements on the sizes known at run time leave no small values "
        "to try. Give some: `nnspec verify SPEC T=64`.",
        "",
        "",
    ),
    Explanation(
        "E0808",
        "there is no such backend",
        "The backends are listed by the hint.",
        "",
        "",
    ),
    Explanation(
        "E0809",
        "a backend is not installed",
        "A proof runs both programs. The hint gives the command that installs "
        "what is missing.",
        "",
        "",
    ),
    Explanation(
        "E0810",
        "weights of an element type that is not converted",
        "Weights are floats that NumPy has: float16, float32 or float64.",
        "",
        "",
    ),
)
