"""What a mesh is, and a plan of one: the axes, the stages, and what a step of training takes.

A plan is written as JSON and may be edited by hand: `mesh` and the stages are decisions,
all else is computed from them again when it is given back (`nnspec.placement.mesh.check`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors
from nnspec.placement.mesh.pipelines import SCHEDULES, Schedule

Sharded = Literal["nothing", "states", "gradients", "weights"]
SHARDED: tuple[Sharded, ...] = ("nothing", "states", "gradients", "weights")
"""What the devices of the data axis have shares of: the stages of ZeRO; the last is FSDP."""

NUMBERS = ("data", "tensor", "pipeline", "rounds", "microbatches")
NAMES: Mapping[str, tuple[str, ...]] = {"sharded": SHARDED, "schedule": SCHEDULES}

_COUNT = re.compile(r"[1-9][0-9]{0,17}")
_STRICT = ConfigDict(
    frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
)
Count = Annotated[int, Field(ge=1)]
Place = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class Mesh(BaseModel):
    """The axes of a mesh, and how a batch goes through it.

    Devices are numbered with `tensor` innermost, then `data`, then `pipeline`. Each rank
    of the pipeline has `rounds` stages.
    """

    model_config = _STRICT

    data: Count = 1
    tensor: Count = 1
    pipeline: Count = 1
    rounds: Count = 1
    sharded: Sharded = "nothing"
    schedule: Schedule | None = None
    microbatches: Count = 1

    @property
    def devices(self) -> int:
        """How many devices it takes."""
        return self.data * self.tensor * self.pipeline

    @property
    def stages(self) -> int:
        """How many stages the model is cut into."""
        return self.pipeline * self.rounds


class StageUse(BaseModel):
    """What each device of a stage does in a step, in seconds, and what the stage needs of it, in bytes.

    `load` is the time of all its parts. `forward`, `backward` and its two halves `inputs`
    and `weights` are the seconds of one micro-batch, which keeps `keeps` bytes until it
    has gone back. `memory` is the most in use on the devices of its rank, which `usable`
    bounds. `stage` counts along the line, `rank` is where on the pipeline's axis it is.
    """

    model_config = _STRICT

    stage: Place
    rank: Place = 0
    devices: tuple[str, str] | None = None
    operators: tuple[str, ...]
    load: Amount = 0
    forward: Amount = 0
    backward: Amount = 0
    inputs: Amount = 0
    weights: Amount = 0
    synchronising: Amount = 0
    keeps: Amount = 0
    memory: Amount = 0
    usable: Amount | None = None


class MeshDevice(BaseModel):
    """What a plan asks of one device, which stands at `pipeline`, `data` and `tensor` on the axes.

    `load` is its seconds of work in a step, `computing` + `communicating`; the rest of the
    step it waits. `peak` is the most memory in use, of `usable` (None: unlimited), and
    `parameter_bytes` what it holds of the model's parameters between steps. `memory` is the
    use over time: pairs of the second from which on it holds and the bytes.
    """

    model_config = _STRICT

    name: str
    kind: str
    pipeline: Place
    data: Place
    tensor: Place
    stages: tuple[int, ...]
    load: Amount
    computing: Amount
    communicating: Amount
    peak: Amount
    usable: Amount | None
    parameter_bytes: Place
    memory: tuple[tuple[Amount, Amount], ...]


class MeshPlan(BaseModel):
    """A mesh and the stages of its pipeline, with what a step of training takes.

    `value` is in seconds, and no mesh of the cost model takes less than `bound`, which
    `proof` explains; `gap` is (value - bound) / value. `assignment` gives the stage of each
    operator. `split` says which layers the tensor axis shares, by labels: by columns, by
    rows, an embedding by its rows, the last layer by its columns, a table of biases by heads;
    `whole` says of the others why each device has all of them. `utilisation` is the share of
    the devices' peak that the model's FLOPs make up. `waiting` is the idle time of the ranks as
    a share of their work.
    """

    model_config = _STRICT

    status: Literal["optimal", "feasible", "checked"] = "checked"
    objective: Literal["train"] = "train"
    value: Amount = 0
    bound: Amount = 0
    gap: Annotated[float, Field(ge=0, le=1)] = 0
    limits: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    method: str = "given"
    proof: str = ""
    cluster: str = "cluster"
    batch: Count | None = None
    utilisation: Amount = 0
    waiting: Amount = 0
    meshes: Place = 0
    mesh: Mesh
    stages: tuple[StageUse, ...] = ()
    assignment: Mapping[str, Place] = {}
    split: Mapping[str, Literal["columns", "rows", "vocabulary", "head", "table"]] = {}
    whole: Mapping[str, str] = {}
    devices: tuple[MeshDevice, ...] = ()

    def to_json(self) -> str:
        """The plan as JSON, readable and for `mesh_from_json`."""
        return self.model_dump_json(indent=2)


def read_axes(text: str) -> dict[str, int | str]:
    """What `tensor=2,pipeline=4` or `any` fixes of a mesh. Raises SpecError (E1020)."""
    found: dict[str, int | str] = {}
    for part in text.split(",") if text != "any" else ():
        name, _, value = part.partition("=")
        if name in found:
            message, hint = f"`--mesh` fixes `{name}` twice", "say it once"
            raise SpecError("E1020", message, hint=hint)
        if name in NUMBERS and _COUNT.fullmatch(value):
            found[name] = int(value)
        elif name in NAMES and value in NAMES[name]:
            found[name] = value
        else:
            raise SpecError(
                "E1020",
                f"`--mesh` does not understand `{part}`",
                hint="write `any`, or fix axes as in `tensor=2,pipeline=4,rounds=2,"
                "sharded=weights,schedule=Interleaved1F1B,microbatches=8`",
            )
    return found


def mesh_from_json(text: str) -> MeshPlan:
    """The plan that a JSON text says; only the decisions need to be there.

    Raises SpecErrors (E1012) for another form.
    """
    try:
        return MeshPlan.model_validate_json(text)
    except ValidationError as error:
        raise SpecErrors(
            Diagnostic(
                "E1012",
                f"the mesh is malformed at `{'.'.join(map(str, found['loc']))}`: "
                f"{found['msg'][:1].lower()}{found['msg'][1:]}",
            )
            for found in error.errors(include_url=False)
        ) from error
