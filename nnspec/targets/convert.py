"""Trained weights of one emitted program as those of the other, safetensors to safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.diagnostics import SpecError, SpecErrors, nearest
from nnspec.ir.graph import Program
from nnspec.ops.weight_steps import apply, undo
from nnspec.records import dataclass
from nnspec.targets.weights import Shape, WeightEntry, weight_map

MOST_NAMED = 8
UNCOUNTED = "num_batches_tracked"
"""PyTorch's count of the batches that a batch norm has seen. Keras has none, and nothing reads it."""


@dataclass(frozen=True)
class Converted:
    """A safetensors file for the other program, and how many tensors it holds."""

    data: bytes
    tensors: int


def convert(program: Program, data: bytes, origin: str, target: str) -> Converted:
    """Weights of one program (`torch` or `keras`) under the other's names and in its layouts.

    Every weight of the program must be there and no other. Raises `SpecErrors` that name what is not.
    """
    _require(origin != target, "E0805", f"the weights are those of `{origin}` already")
    given = _read(data)
    entries = weight_map(program)
    _check(given, _expected(entries, origin), origin, program.name)
    made = to_keras(entries, given) if target == "keras" else to_torch(entries, given)
    if target == "torch":
        made |= _uncounted(made)
    return Converted(_written(made), len(made))


def to_keras(
    entries: tuple[WeightEntry, ...], tensors: Mapping[str, Any]
) -> dict[str, Any]:
    """Keras's variables by path, from PyTorch's arrays by key."""
    found: dict[str, Any] = {}
    for entry in entries:
        (value,) = apply(entry.steps, [tensors[source] for source in entry.sources])
        found[entry.variable] = value
    return found


def to_torch(
    entries: tuple[WeightEntry, ...], tensors: Mapping[str, Any]
) -> dict[str, Any]:
    """PyTorch's arrays by key, from Keras's variables by path."""
    found: dict[str, Any] = {}
    for entry in entries:
        values = undo(entry.steps, [tensors[entry.variable]])
        found |= zip(entry.sources, values, strict=True)
    return found


def _uncounted(made: Mapping[str, Any]) -> dict[str, Any]:
    """The counts that PyTorch's batch norms insist on when they load: none seen yet."""
    import numpy

    owners = [
        key.removesuffix("running_mean")
        for key in made
        if key.endswith(".running_mean")
    ]
    return {f"{owner}{UNCOUNTED}": numpy.zeros((), "int64") for owner in owners}


# ---- what must be there ---------------------------------------------------------------------------


def _expected(entries: tuple[WeightEntry, ...], origin: str) -> dict[str, Shape]:
    if origin == "keras":
        return {entry.variable: entry.shape for entry in entries}
    return {
        source: shape
        for entry in entries
        for source, shape in zip(entry.sources, entry.source_shapes, strict=True)
    }


def _check(
    given: Mapping[str, Any], expected: Mapping[str, Shape], origin: str, model: str
) -> None:
    counts = {
        name for name in given if origin == "torch" and name.endswith(f".{UNCOUNTED}")
    }
    missing = [name for name in expected if name not in given]
    surplus = [name for name in given if name not in expected and name not in counts]
    shaped = [
        f"`{name}` is {_shown(given[name].shape)} and must be {_shown(shape)}"
        for name, shape in expected.items()
        if name in given and tuple(given[name].shape) != shape
    ]
    typed = [
        f"`{name}` is {given[name].dtype}"
        for name in expected
        if name in given and given[name].dtype.kind != "f"
    ]
    found: list[SpecError] = []
    if typed:
        text = f"{_counted(typed)} of no float type: {'; '.join(typed[:MOST_NAMED])}"
        hint = "save the weights as they were trained, not quantised"
        found.append(SpecError("E0810", text, hint=hint))
    if missing:
        hint = _near(missing[0], surplus)
        text = f"{_counted(missing)} of `{model}` missing: {_listed(missing)}"
        found.append(SpecError("E0802", text, hint=hint))
    if surplus:
        text = f"{_counted(surplus)} that `{model}` does not have: {_listed(surplus)}"
        found.append(
            SpecError("E0803", text, hint="are these the weights of another model?")
        )
    if shaped:
        text = f"{_counted(shaped)} of another shape: {'; '.join(shaped[:MOST_NAMED])}"
        found.append(
            SpecError(
                "E0804", text, hint="give the constants that the model was trained with"
            )
        )
    if found:
        raise SpecErrors([error.diagnostic for error in found])


def _near(name: str, known: list[str]) -> str:
    close = nearest(name, known)
    if close is not None:
        return f"the file has `{close}` instead of `{name}`"
    return (
        "save all weights of the model: its whole state dict, or all of its variables"
    )


def _counted(names: list[str]) -> str:
    return "1 tensor" if len(names) == 1 else f"{len(names)} tensors"


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:MOST_NAMED])
    return (
        shown
        if len(names) <= MOST_NAMED
        else f"{shown} and {len(names) - MOST_NAMED} more"
    )


def _shown(shape: Shape) -> str:
    return f"[{', '.join(str(size) for size in shape)}]"


# ---- safetensors ----------------------------------------------------------------------------------


def _read(data: bytes) -> dict[str, Any]:
    safetensors = _safetensors()
    try:
        return safetensors.load(data)
    except (
        KeyError
    ) as error:  # of the library, for an element type that NumPy does not have
        message = f"tensors of the type {error.args[0]} cannot be converted"
        hint = "save the weights as float32: `tensor.float()`"
        raise SpecErrors([SpecError("E0810", message, hint=hint).diagnostic]) from None
    except Exception as error:
        # The library raises its own type and several of Python's, all for files that are none.
        message = f"this is no safetensors file: {error}"
        raise SpecErrors([SpecError("E0801", message).diagnostic]) from None


def _written(tensors: Mapping[str, Any]) -> bytes:
    import numpy

    safetensors = _safetensors()
    rows = {
        name: numpy.ascontiguousarray(array) for name, array in sorted(tensors.items())
    }
    # A scalar would come back with one axis.
    rows = {name: row.reshape(tensors[name].shape) for name, row in rows.items()}
    return safetensors.save(rows)


def _safetensors() -> Any:
    try:
        from safetensors import numpy as safetensors  # which imports NumPy itself
    except ImportError as error:
        message = f"weights cannot be read without the package `{error.name}`"
        hint = "install what this needs: `pip install 'nnspec[weights]'`"
        raise SpecErrors([SpecError("E0806", message, hint=hint).diagnostic]) from None
    return safetensors


def _require(holds: bool, code: str, message: str) -> None:
    if not holds:
        raise SpecErrors([SpecError(code, message).diagnostic])
