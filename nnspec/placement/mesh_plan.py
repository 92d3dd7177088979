"""What a mesh is, and a plan of one: the axes, the stages, and what a step of training takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors

Sharded = Literal["nothing", "states", "gradients", "weights"]
SHARDED: tuple[Sharded, ...] = ("nothing", "states", "gradients", "weights")
"""What the devices of the data axis have shares of: the stages of ZeRO; the last is FSDP."""

NUMBERS = ("data", "tensor", "pipeline", "microbatches")
NAMES: Mapping[str, tuple[str, ...]] = {
    "sharded": SHARDED,
    "schedule": ("GPipe", "1F1B"),
}

_STRICT = ConfigDict(
    frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
)
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]


class Mesh(BaseModel):
    """The axes of a mesh, and how a batch goes through it.

    Devices are numbered with `tensor` innermost, then `data`, then `pipeline`.
    """

    model_config = _STRICT

    data: Count
    tensor: Count
    pipeline: Count
    sharded: Sharded
    schedule: Literal["GPipe", "1F1B", None]
    microbatches: Count

    @property
    def devices(self) -> int:
        """How many devices it takes."""
        return self.data * self.tensor * self.pipeline


class StageUse(BaseModel):
    """What each device of a stage does in a step, in seconds, and holds at most, in bytes."""

    model_config = _STRICT

    stage: int
    devices: tuple[str, str]
    operators: tuple[str, ...]
    load: Amount
    synchronising: Amount
    memory: Amount
    usable: Amount | None


class MeshPlan(BaseModel):
    """A mesh and the stages of its pipeline, with what a step of training takes.

    `value` is in seconds, and no mesh of the cost model takes less than `bound`.
    `utilisation` is the share of the devices' peak that the model's FLOPs make up.
    """

    model_config = _STRICT

    status: Literal["optimal"]
    objective: Literal["train"]
    value: Amount
    bound: Amount
    gap: Amount
    limits: tuple[str, ...]
    method: str
    cluster: str
    mesh: Mesh
    batch: Count
    utilisation: Amount
    meshes: Count
    stages: tuple[StageUse, ...]


def read_axes(text: str) -> dict[str, int | str]:
    """What `tensor=2,pipeline=4` or `any` fixes of a mesh. Raises SpecError (E1020)."""
    found: dict[str, int | str] = {}
    for part in text.split(",") if text != "any" else ():
        name, _, value = part.partition("=")
        if name in NUMBERS and value.isascii() and value.isdigit() and int(value):
            found[name] = int(value)
        elif name in NAMES and value in NAMES[name]:
            found[name] = value
        else:
            raise SpecError(
                "E1020",
                f"`--mesh` does not understand `{part}`",
                hint="write `any`, or fix axes as in `tensor=2,pipeline=4,"
                "sharded=weights,schedule=1F1B,microbatches=8`",
            )
    return found


def mesh_from_json(text: str) -> MeshPlan:
    """The plan that a JSON text says. Raises SpecErrors (E1012) for another form."""
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
