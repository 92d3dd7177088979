"""Meshes: every mesh and division tried by brute force, what is split, collectives, sums."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from nnspec.analysis.figures import Analysis
from nnspec.analysis.latency import Workload
from nnspec.analysis.setting import Setting
from nnspec.compiler import load, load_source
from nnspec.diagnostics import SpecError
from nnspec.placement.chain import Chain
from nnspec.placement.cluster import Cluster
from nnspec.placement.cluster_file import cluster_of, preset
from nnspec.placement.collectives import Wire
from nnspec.placement.mesh import Meshes, best_mesh
from nnspec.placement.model import kernel_seconds
from nnspec.placement.tensor import split_parts
from nnspec.source import Source
from tests.placement.test_model import SPEC

SIZES = {"B": 16, "T": 8}


def analysis() -> Analysis:
    (spec,) = load_source(Source("tied.nns", SPEC), ["Tied"], {})
    return Analysis(spec.program, Setting())


def small(memory: str, nodes: int = 2, flops: str = "1GFLOP/s") -> Cluster:
    kind = {
        "memory": memory,
        "flops": {"fp32": flops},
        "bandwidth": "1GB/s",
        "launch": "1us",
        "port": {"bandwidth": "200MB/s", "latency": "5us"},
    }
    return cluster_of(
        {
            "kinds": {"tiny": kind},
            "links": {"net": {"bandwidth": "20MB/s", "latency": "10us"}},
            "nodes": [{"count": nodes, "devices": {"tiny": 2}, "uplink": "net"}],
        }
    )


@pytest.mark.parametrize("memory", ["4MiB", "500KiB", "300KiB", "200KiB"])
@pytest.mark.parametrize("flops", ["1GFLOP/s", "30MFLOP/s"])
def test_no_mesh_and_no_division_is_better(memory: str, flops: str) -> None:
    cluster = small(memory, flops=flops)
    meshes = Meshes(analysis(), cluster, SIZES)
    best = float("inf")
    for mesh in meshes.all():
        count = meshes.chain_of(mesh).count
        for inner in combinations(range(1, count), mesh.pipeline - 1):
            costs = [
                meshes.cost(mesh, stage, first, last)
                for stage, (first, last) in enumerate(pairwise((0, *inner, count)))
            ]
            if all(cost.memory <= meshes.usable for cost in costs):
                turns = mesh.microbatches + mesh.pipeline - 1
                step = max(turns * each.load + each.synchronising for each in costs)
                best = min(best, step)
    if best == float("inf"):
        with pytest.raises(SpecError, match="no mesh of 4 devices fits"):
            best_mesh(analysis(), cluster, SIZES)
        return
    found = best_mesh(analysis(), cluster, SIZES)
    assert found.value == pytest.approx(best, rel=1e-12)
    assert found.bound == found.value
    assert all(stage.memory <= meshes.usable for stage in found.stages)


def test_the_least_memory_that_is_named_is_enough_and_less_is_not() -> None:
    with pytest.raises(SpecError) as caught:
        best_mesh(analysis(), small("60KiB"), SIZES)
    assert caught.value.diagnostic.code == "E1011"
    hint = caught.value.diagnostic.hint or ""
    amount = float(hint.split(" with ")[1].split()[0]) * 1024
    assert best_mesh(analysis(), small(f"{amount:.0f}B"), SIZES).value > 0
    with pytest.raises(SpecError):
        best_mesh(analysis(), small(f"{amount - 100:.0f}B"), SIZES)


def test_one_device_takes_all_kernels_and_all_bytes() -> None:
    found = best_mesh(analysis(), preset("cpu"), SIZES, {"microbatches": 1})
    (stage,) = found.stages
    kind = preset("cpu").kinds["cpu"]
    work = Workload(analysis(), SIZES, "training")
    kernels = work.of_use(work.uses.main)
    seconds = sum(kernel_seconds(kind, each) * count for each, count in kernels.items())
    assert stage.load == pytest.approx(seconds, rel=1e-12)
    names = ("weight_bytes", "gradient_bytes", "optimizer_bytes")
    lying = sum(int(analysis().figure(name)) for name in names)
    saved = int(analysis().figure("saved_bytes").at(SIZES))
    assert lying + 0.8 * saved < stage.memory < lying + 2 * saved


def test_splitting_shares_weights_between_tensor_devices() -> None:
    spec = load("specs/language/llama.nns", "Llama3_8B", B=1, T=64)
    found = Analysis(spec.program, Setting())
    parts = split_parts(spec.program)
    chains = [
        Chain(found, preset("8xh100"), spec.symbols, parts, n, lambda _: 0.0, False)
        for n in (1, 8)
    ]
    whole, split = (chain.weights.whole for chain in chains)
    # All but the embedding, the head and the norms is in the linear layers of blocks.
    kept = 4 * (2 * 128256 * 4096 + 65 * 4096)
    assert whole == int(found.figure("weight_bytes"))
    assert split == pytest.approx(kept + (whole - kept) / 8, rel=1e-12)


def test_parts_that_are_split_end_with_a_sum() -> None:
    spec = load("specs/language/llama.nns", "Llama3_8B")
    named = {
        each.name: [
            sorted(str(each.nodes[n].path[0]) for n in numbers)
            for numbers in (parts.columns, parts.rows)
        ]
        for key, parts in split_parts(spec.program).items()
        for each in [spec.program.functions[key]]
        if parts.rows
    }
    assert named == {
        "Attention": [["k_proj", "q_proj", "v_proj"], ["o_proj"]],
        "SwiGLU": [["gate_proj", "up_proj"], ["down_proj"]],
    }


def test_a_residual_stream_is_not_split() -> None:
    source = """
    model Stream {
      input x: [B, 8]
      y = x + (x -> Linear(8))
      output z = y -> Linear(8)
    }
    """
    (spec,) = load_source(Source("stream.nns", source), ["Stream"], {})
    assert not any(each.nodes for each in split_parts(spec.program).values())


def test_rings_pass_all_but_one_share() -> None:
    wire = Wire(bandwidth=10.0, latency=1.0)
    assert wire.send(20) == 3
    assert wire.gather(40, 4) == 3 * (1 + 1)
    assert wire.reduce(40, 4) == 2 * wire.gather(40, 4)
    assert wire.reduce(40, 1) == 0


def test_more_is_sharded_where_memory_is_short() -> None:
    wide, narrow = small("4MiB"), small("300KiB")
    fixed = {"data": 4}
    assert best_mesh(analysis(), wide, SIZES, fixed).mesh.sharded in (
        "nothing",
        "states",
    )
    assert best_mesh(analysis(), narrow, SIZES, fixed).mesh.sharded != "nothing"


def test_what_is_fixed_stays() -> None:
    fixed: dict[str, int | str] = {
        "pipeline": 2,
        "schedule": "GPipe",
        "microbatches": 4,
    }
    found = best_mesh(analysis(), small("4MiB"), SIZES, fixed).mesh
    assert (found.pipeline, found.schedule, found.microbatches) == (2, "GPipe", 4)
    with pytest.raises(SpecError) as caught:
        best_mesh(analysis(), small("4MiB"), SIZES, {"data": 3})
    assert caught.value.diagnostic.code == "E1020"
