"""What emitted PyTorch programs carry that shard a model's weights. Read as text, never imported."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    set_model_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

BLOCKS: tuple[type[nn.Module], ...] = ()
COLUMNS: tuple[str, ...] = ()
ROWS: tuple[str, ...] = ()


def shard(
    model: nn.Module, mesh: DeviceMesh, policy: MixedPrecisionPolicy | None = None
) -> nn.Module:
    """Shards weights, gradients and optimizer states over the processes of `mesh` (FSDP2).

    Each block gathers its weights when it runs, and the rest of the model gathers its own.
    """
    options = {} if policy is None else {"mp_policy": policy}
    for module in list(model.modules()):
        if isinstance(module, BLOCKS):
            fully_shard(module, mesh=mesh, **options)
    return fully_shard(model, mesh=mesh, **options)


def split(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Splits pairs of linear layers over the processes of `mesh` (Shoeybi et al., 2019).

    The first of a pair by columns, the second by rows: one all-reduce for each pair. What
    is not named in `COLUMNS` and `ROWS` stays whole in every process.
    """
    for name in (*COLUMNS, *ROWS):
        layer = model.get_submodule(name)
        width = layer.out_features if name in COLUMNS else layer.in_features
        if width % mesh.size():
            raise ValueError(
                f"the width {width} of {name} does not divide by {mesh.size()} processes"
            )
    columns = {name: ColwiseParallel() for name in COLUMNS}
    rows = {name: RowwiseParallel() for name in ROWS}
    return parallelize_module(model, mesh, columns | rows)


def build(
    factory: Callable[..., nn.Module],
    mesh: DeviceMesh,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    policy: MixedPrecisionPolicy | None = None,
    weights: dict[str, Tensor] | None = None,
) -> nn.Module:
    """A model that is sharded before it exists: no process ever holds all of it.

    `mesh` has the axes "data" (sharded data parallelism) and, for splitting layers, "tensor".
    The weights of the whole model are given by the first process, if by any; otherwise they
    are drawn, each process its own share.
    """
    names = mesh.mesh_dim_names or ()
    model = factory(device="meta", dtype=dtype)
    if "tensor" in names:
        split(model, mesh["tensor"])
    if "data" in names:
        shard(model, mesh["data"], policy)
    model.to_empty(device=device)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    if dist.is_initialized() and weights is not None:
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        given = weights if dist.get_rank() == 0 else {}
        set_model_state_dict(model, given, options=options)
    return model
