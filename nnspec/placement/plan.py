"""Plans: what is placed where, what that gives, and how far from the best it can be.

A plan is written as JSON and may be edited by hand: only `objective`, `contiguous`,
`assignment`, `order`, `schedule` and `microbatches` are decisions, all else is computed from them again when the
plan is checked (`nnspec.placement.evaluate.check_plan`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.diagnostics import Diagnostic, SpecErrors

_STRICT = ConfigDict(
    frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
)
Amount = Annotated[float, Field(ge=0)]

Objective = Literal["fit", "latency", "throughput", "train"]
"""What is made small.

`fit`: the largest share of a device's usable memory that is in use.
`latency`: the seconds from the start to the end of one sample.
`throughput`: the load of the busiest device or shared link: the seconds that it is busy
for one sample, which is the time between samples in a pipeline that is full.
`train`: the same for forward and backward pass together.
"""


class DeviceUse(BaseModel):
    """What a plan asks of one device.

    `load` is its seconds of work for one sample, `computing` + `sending` + `receiving`.
    `peak` is the most memory in use, of `usable` (None: unlimited), in bytes. `memory` is
    the use over time: pairs of the second from which on it holds and the bytes.
    """

    model_config = _STRICT

    name: str
    kind: str
    load: Amount
    computing: Amount
    sending: Amount
    receiving: Amount
    peak: Amount
    usable: Amount | None
    memory: tuple[tuple[Amount, Amount], ...] = ()


class LinkUse(BaseModel):
    """The seconds for which one sample occupies a link between devices."""

    model_config = _STRICT

    name: str
    load: Amount


class Plan(BaseModel):
    """An assignment of operators to devices, and everything that follows from it.

    `value` is what the plan gives (`Objective` says in which unit), and no plan with the
    same `objective` and `contiguous` gives less than `bound`; `gap` is
    (value - bound) / value. `optimal` plans have no gap above 1e-9. `order` is the
    sequence in which devices take up their operators. `contiguous` plans have devices
    in a line: no value of the forward pass goes back along it, and those of the backward
    pass all go back, or all along. `limits` says what keeps the value from being smaller, `method`
    which algorithm found the plan. `schedule` and `microbatches` say how a pipeline of
    processes is to run it; they do not change the value, which is that of one batch.
    """

    model_config = _STRICT

    status: Literal["optimal", "feasible", "checked"]
    objective: Objective
    contiguous: bool = False
    value: Amount
    bound: Amount
    gap: Annotated[float, Field(ge=0, le=1)]
    limits: tuple[str, ...]
    method: str
    cluster: str
    devices: tuple[DeviceUse, ...]
    links: tuple[LinkUse, ...] = ()
    assignment: Mapping[str, str]
    order: tuple[str, ...] = ()
    schedule: str | None = None
    microbatches: Annotated[int, Field(ge=1)] = 1

    def to_json(self) -> str:
        """The plan as JSON, readable and for `plan_from_json`."""
        return self.model_dump_json(indent=2)


def plan_from_json(text: str) -> Plan:
    """The plan that a JSON text says; nothing in it is trusted yet but its form.

    Raises SpecErrors (E1012) for another form.
    """
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        raise SpecErrors(
            Diagnostic(
                "E1012",
                f"the plan is malformed at `{'.'.join(map(str, found['loc']))}`: "
                f"{found['msg'][:1].lower()}{found['msg'][1:]}",
            )
            for found in error.errors(include_url=False)
        ) from error
