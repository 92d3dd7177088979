"""The runs of a proof: both programs are asked for the same, at the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnspec.ir import graph
from nnspec.verify.exchange import Array, Failed
from nnspec.verify.labels import Expected, recorded
from nnspec.verify.orders import all_to_physical
from nnspec.verify.parties import Party, ask_all
from nnspec.verify.samples import draw_inputs
from nnspec.verify.sizes import Sizes, told


class Runs:
    """Draws inputs, asks both programs, and keeps PyTorch's answers for several Keras backends (`keep`)."""

    def __init__(
        self,
        program: graph.Program,
        torch: Party,
        expected: tuple[Expected, ...],
        seed: int,
        *,
        keep: bool,
    ) -> None:
        self.program = program
        self.torch = torch
        self.expected = expected
        self.seed = seed
        self._keep = keep
        self._inputs: dict[str, list[Array]] = {}
        self._positive = False
        self._answers: dict[tuple[Any, ...], Any] = {}

    def forget(self) -> None:
        """PyTorch is asked again, whatever was asked."""
        self._answers.clear()

    def inputs(self, sizes: Sizes, floats: str = "float64") -> list[Array]:
        """The inputs for these sizes, axes in the logical order."""
        key = told(sizes)
        if key not in self._inputs:
            drawn = draw_inputs(self.program, sizes, self.seed, positive=self._positive)
            self._inputs[key] = drawn
        own = {"float32": "float32"}.get(floats)
        if own is None:
            return self._inputs[key]
        return [
            a.astype(own) if a.dtype.name == "float64" else a for a in self._inputs[key]
        ]

    def evaluated(
        self, keras: Party, sizes: Sizes, floats: str, *, capture: bool
    ) -> list[Any]:
        """What both programs give in evaluation mode; with `capture`, what their layers give, too."""
        asked = self._evaluated_once(keras, sizes, floats, capture)
        ours = asked[0]
        if self._positive or isinstance(ours, Failed):
            return asked
        if all(np.isfinite(output).all() for output in ours.outputs):
            return asked
        # A logarithm or a root of a negative number proves nothing: try inputs between 0 and 1.
        self._positive = True
        self._inputs.clear()
        return self._evaluated_once(keras, sizes, floats, capture)

    def _evaluated_once(
        self, keras: Party, sizes: Sizes, floats: str, capture: bool
    ) -> list[Any]:
        inputs = self.inputs(sizes, floats)
        physical = all_to_physical(inputs, keras.inputs)
        key = (floats, told(sizes), self._positive)
        return self.both(
            keras,
            "evaluate",
            {"inputs": inputs, "capture": self.names("torch") if capture else ()},
            {"inputs": physical, "capture": self.names("keras") if capture else ()},
            key,
        )

    def shown(self, keras: Party, sizes: Sizes) -> list[Any]:
        """What the probes of both programs show."""
        inputs = self.inputs(sizes)
        physical = all_to_physical(inputs, keras.inputs)
        return self.both(
            keras,
            "show",
            {"inputs": inputs, "wanted": self.names("torch", by_probe=True)},
            {"inputs": physical, "wanted": self.names("keras", by_probe=True)},
            (told(sizes), self._positive),
        )

    def names(self, target: str, *, by_probe: bool = False) -> frozenset[str]:
        """Under which names a program's layers, or else its probes, record values to compare."""
        return recorded(self.expected, target, by_probe=by_probe)

    def both(
        self,
        keras: Party,
        command: str,
        to_torch: Mapping[str, Any],
        to_keras: Mapping[str, Any],
        key: tuple[Any, ...],
    ) -> list[Any]:
        """Both answers; PyTorch is asked once and its answer kept for the other backends."""
        key = (command, *key)
        if key in self._answers:
            return [self._answers[key], *ask_all([(keras, command, to_keras)])]
        asked = ask_all([(self.torch, command, to_torch), (keras, command, to_keras)])
        if self._keep:
            self._answers[key] = asked[0]
        return asked
