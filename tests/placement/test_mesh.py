"""Meshes: every mesh and division tried by brute force, what is split, collectives, sums."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.setting import Setting
from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.analysis.timing.latency import Workload
from nnspec.compiler import load, load_source
from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors
from nnspec.ir.dims import Size
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.clusters.file import cluster_of, preset
from nnspec.placement.mesh import least_room as mesh_least_room
from nnspec.placement.mesh import place as mesh_place
from nnspec.placement.mesh import search as mesh_search
from nnspec.placement.mesh import several as mesh_several
from nnspec.placement.mesh.bounds import mean_bound
from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.chain import Chain
from nnspec.placement.mesh.check import check_mesh
from nnspec.placement.mesh.collectives import Wire
from nnspec.placement.mesh.cost import Divided, MeshCost
from nnspec.placement.mesh.cover import Cover
from nnspec.placement.mesh.least_room import least_room
from nnspec.placement.mesh.lines import Lines
from nnspec.placement.mesh.packing import Packing
from nnspec.placement.mesh.paths import Answer, Paths
from nnspec.placement.mesh.pipelines import SCHEDULES, SEVERAL
from nnspec.placement.mesh.place import best_mesh
from nnspec.placement.mesh.plan import SHARDED, Mesh, MeshPlan, Sharded, mesh_from_json
from nnspec.placement.mesh.sums import Share
from nnspec.placement.mesh.tensor import shared_nodes
from nnspec.placement.mesh.timed import TimedUses
from nnspec.placement.mesh.weighed import WeighedUses
from nnspec.placement.model import kernel_seconds
from nnspec.placement.simulate import simulate_ranks
from nnspec.source import Source
from nnspec.targets.engines.shares import held_elements
from nnspec.targets.engines.torch_sharded import MeshShape
from tests.engines.specs import MIXED, recomputed, spec_of
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


def every_division(meshes: Meshes, mesh: Mesh):
    cost = meshes.cost(mesh)
    count = cost.chain.count
    for inner in itertools.combinations(range(1, count), cost.stages - 1):
        yield cost.divided((0, *inner, count))


def simulated(divided: Divided) -> float:
    """The seconds of a step, by the event simulator."""
    seconds = {
        (part, number): stage.times.of(part)
        for number, stage in enumerate(divided.stages)
        for part in ("F", "B", "I", "W")
    }
    ends = simulate_ranks(divided.cost.orders, seconds)
    behind = zip(ends, divided.synchronising, strict=True)
    return max(end + seconds for end, seconds in behind)


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["4MiB", "300KiB", "200KiB"])
@pytest.mark.parametrize("flops", ["1GFLOP/s", "30MFLOP/s"])
def test_no_mesh_and_no_division_is_better(memory: str, flops: str) -> None:
    cluster = small(memory, flops=flops)
    meshes = Meshes(analysis(), cluster, SIZES)
    best = float("inf")
    for mesh in meshes.all():
        for divided in every_division(meshes, mesh):
            if max(divided.peaks) <= meshes.usable and divided.least < best:
                best = min(best, simulated(divided))
    if best == float("inf"):
        with pytest.raises(SpecError, match="no mesh of 4 devices fits"):
            best_mesh(analysis(), cluster, SIZES)
        return
    found = best_mesh(analysis(), cluster, SIZES)
    assert found.value == pytest.approx(best, rel=1e-12)
    assert found.bound == found.value
    assert found.status == "optimal"
    assert all(stage.memory <= meshes.usable for stage in found.stages)


@pytest.mark.parametrize("memory", ["4MiB", "300KiB", "200KiB"])
@pytest.mark.parametrize("flops", ["1GFLOP/s", "30MFLOP/s"])
def test_dynamic_programming_misses_nothing_either(
    memory: str, flops: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all divisions are tried, and too many may be better to try them."""
    meshes = Meshes(analysis(), small(memory, flops=flops), SIZES)
    every = [mesh for mesh in meshes.all() if mesh.rounds == 1]
    exact = mesh_search.Search(meshes).run(every)
    monkeypatch.setattr(mesh_search, "FEW", 0)
    searched = mesh_search.Search(meshes).run(every)
    monkeypatch.setattr(mesh_search, "MANY", 0)
    bounded = mesh_search.Search(meshes).run(every)
    if exact.best is None:
        assert searched.best is None
        return
    assert searched.best is not None
    assert searched.best.value == pytest.approx(exact.best.value, rel=1e-12)
    assert searched.bound == searched.best.value
    assert bounded.best is not None
    assert bounded.best.value >= exact.best.value * (1 - 1e-12)
    assert 0.7 * exact.best.value < bounded.bound <= exact.best.value * (1 + 1e-12)


def answers(cost: MeshCost, turns: int, usable: float) -> Iterator[Answer]:
    """Bounds by paths, from the division on whose stages are as long as can be at the end."""
    starts = (*range(cost.stages), cost.chain.count)
    return itertools.islice(Paths(cost).play(starts, usable, 0.01), turns)


@pytest.mark.parametrize("schedule", [each for each in SCHEDULES if each in SEVERAL])
def test_paths_come_close_to_the_best_of_all_divisions(schedule: str) -> None:
    meshes = Meshes(analysis(), small("4MiB"), SIZES)
    (mesh,) = (
        mesh
        for mesh in meshes.all()
        if (mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)
        == (schedule, 2, 2, 4)
        and mesh.sharded == "nothing"
        and mesh.data == 2
    )
    best = min(each.value for each in every_division(meshes, mesh))
    found = [*answers(meshes.cost(mesh), 200, meshes.usable)]
    assert max(each.bound for each in found) <= best * (1 + 1e-12)
    assert max(each.bound for each in found) >= 0.8 * best
    tried = (meshes.cost(mesh).divided(each.starts).value for each in found)
    assert min(tried) <= 1.2 * best


def test_bounds_of_many_meshes_are_raised_for_less_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where not all can be begun with: then by the share that can be. They hold all the same."""
    meshes = Meshes(analysis(), small("4MiB"), SIZES)
    every = [mesh for mesh in meshes.all() if mesh.rounds > 1]
    best = mesh_search.Search(meshes).run(every).best
    assert best is not None
    monkeypatch.setattr(mesh_search, "FEW", 0)
    monkeypatch.setattr(mesh_several, "DIVISIONS", 0)
    monkeypatch.setattr(mesh_several, "STEPS", 0)
    play, turns = Paths.play, 0

    def counted(
        self: Paths, starts: Sequence[int], usable: float, target: float
    ) -> Iterator[Answer]:
        nonlocal turns
        for answer in play(self, starts, usable, target):
            turns += 1
            yield answer

    monkeypatch.setattr(Paths, "play", counted)
    made: list[int] = []
    for paths in (20_000, 2_000, 0):
        monkeypatch.setattr(mesh_several, "PATHS", paths)
        turns = 0
        found = mesh_search.Search(meshes).run(every)
        assert 0.7 * best.value < found.bound <= best.value * (1 + 1e-12)
        made.append(turns)
    assert made[0] > 4 * made[1] > 0 == made[2], made


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [each for each in SCHEDULES if each in SEVERAL])
def test_all_divisions_are_tried_behind_the_other_meshes(
    schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meshes = Meshes(analysis(), small("4MiB"), SIZES)
    asked = schedule, 2, 2, 4
    every = [
        mesh
        for mesh in meshes.all()
        if (mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches) == asked
    ]
    monkeypatch.setattr(mesh_search, "FEW", 0)
    best = min(each.value for mesh in every for each in every_division(meshes, mesh))
    found = mesh_search.Search(meshes).run(every)
    assert found.bound == pytest.approx(best, rel=1e-12)
    monkeypatch.setattr(mesh_several, "PARTS", 0)
    monkeypatch.setattr(mesh_several, "PATHS", 20_000)
    assert mesh_search.Search(meshes).run(every).bound < best


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["236KiB", "250KiB", "280KiB"])
def test_meshes_that_have_no_room_do_not_keep_the_bound_down(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all divisions are tried, and several stages on a rank would be faster, but do not fit."""
    meshes = Meshes(analysis(), small(memory), SIZES)
    every = [mesh for mesh in meshes.all() if mesh.pipeline == 2]
    best = min(
        divided.value
        for mesh in every
        for divided in every_division(meshes, mesh)
        if max(divided.peaks) <= meshes.usable
    )
    monkeypatch.setattr(mesh_search, "FEW", 0)
    monkeypatch.setattr(mesh_several, "DIVISIONS", 0)
    found = mesh_search.Search(meshes).run(every)
    monkeypatch.setattr(mesh_several, "STEPS", 0)
    monkeypatch.setattr(mesh_several, "PATHS", 20_000)
    without = mesh_search.Search(meshes).run(every)
    assert without.bound < 0.95 * best
    assert found.bound == pytest.approx(best, rel=1e-12)
    assert found.best is not None
    assert found.best.value == pytest.approx(best, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["4MiB", "300KiB"])
def test_no_bound_is_above_any_division(memory: str) -> None:
    meshes = Meshes(analysis(), small(memory), SIZES)
    tried: Counter[str | None] = Counter()
    for mesh in meshes.all():
        cost = meshes.cost(mesh)
        least = mean_bound(cost, meshes.usable)
        if mesh.rounds > 1:
            least = max(
                least, *(each.bound for each in answers(cost, 10, meshes.usable))
            )
        for number, divided in enumerate(every_division(meshes, mesh)):
            if number % 3 or max(divided.peaks) > meshes.usable:
                continue
            tried[mesh.schedule] += 1
            assert divided.value >= least * (1 - 1e-12), mesh
            if mesh.rounds == 1 and mesh.pipeline > 1:
                lines = Lines(divided.cost, meshes.usable)
                for stage, borders in enumerate(itertools.pairwise(divided.starts)):
                    bound = lines.seconds(stage, *borders, float("inf"))
                    assert bound is not None
                    assert divided.value >= bound * (1 - 1e-12), mesh
    assert len(tried) >= (6 if memory == "4MiB" else 5)


NARROW: tuple[dict[str, int | str], ...] = (
    {},
    {"rounds": 2},
    {"rounds": 2, "pipeline": 4},
    {"rounds": 3, "pipeline": 2},
    {"rounds": 4},
    {"schedule": "ZBVZeroBubble"},
    {"schedule": "InterleavedZeroBubble", "rounds": 1},
    {"schedule": "GPipe"},
    {"pipeline": 2, "rounds": 2, "microbatches": 4, "sharded": "states"},
)
"""What is fixed of meshes where memory is short."""


@pytest.mark.parametrize("fixed", NARROW, ids=str)
def test_the_least_memory_that_is_named_is_enough_and_less_is_not(
    fixed: dict[str, int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_place, "MOST_DEVICES", 0)
    with pytest.raises(SpecError) as caught:
        best_mesh(analysis(), small("60KiB"), SIZES, fixed)
    assert caught.value.diagnostic.code == "E1011"
    hint = caught.value.diagnostic.hint or ""
    named = int(hint.split("(")[1].split()[0])
    found = best_mesh(analysis(), small(f"{named}B"), SIZES, fixed)
    assert found.bound <= found.value
    with pytest.raises(SpecError, match="fits"):
        best_mesh(analysis(), small(f"{named - 1}B"), SIZES, fixed)


@pytest.mark.parametrize("fixed", NARROW, ids=str)
def test_no_division_needs_less_memory(fixed: dict[str, int | str]) -> None:
    meshes = Meshes(analysis(), small("60KiB"), SIZES)
    every = [
        mesh
        for mesh in meshes.all()
        if all(getattr(mesh, name) == value for name, value in fixed.items())
    ]
    divisions = (each for mesh in every for each in every_division(meshes, mesh))
    least = min(max(divided.peaks) for divided in divisions)
    room = least_room(meshes, every)
    assert room.is_least
    assert room.bytes == pytest.approx(least, rel=1e-12)
    assert least_room(meshes, every, enough=least).bytes <= least
    assert least_room(meshes, every, enough=least * (1 - 1e-9)).divided is None


def uneven(depth: int, order: str, memory: str = "60KiB") -> Meshes:
    """A wide part, a run of equal ones, and narrow ones."""
    parts = {"linear": "Linear(64)", "relu": "relu"}
    wide = " -> ".join(parts[each] for each in order.split(" -> "))
    alike = " -> ".join(["Linear(16)"] * depth)
    source = f"""
    model Uneven {{
      input x: [B, 8]
      output z = x -> {wide} -> Linear(16) -> {alike} -> relu -> Linear(200) -> Linear(2)
    }}
    """
    (spec,) = load_source(Source("uneven.nns", source), ["Uneven"], {})
    return Meshes(Analysis(spec.program, Setting()), small(memory), {"B": 8})


@pytest.mark.parametrize("depth", [3, 5])
@pytest.mark.parametrize("order", ["linear -> relu", "relu -> linear"])
def test_no_division_of_unlike_operators_needs_less_memory(
    depth: int, order: str
) -> None:
    """With one stage or several on a rank."""
    meshes = uneven(depth, order)
    for rounds in (1, 2, 3):
        every = [mesh for mesh in meshes.all() if mesh.rounds == rounds]
        divisions = (each for mesh in every for each in every_division(meshes, mesh))
        least = min(max(divided.peaks) for divided in divisions)
        room = least_room(meshes, every)
        assert room.bytes == pytest.approx(least, rel=1e-12)
        assert room.is_least


def busiest(divided: Divided) -> float:
    """The seconds of the busiest rank, with those of what is in front of its first stage."""
    cost, turns = divided.cost, divided.cost.mesh.microbatches
    ahead = [cost.chain.forward.upto[start] for start in divided.starts]
    work = zip(ahead, divided.loads, divided.synchronising, strict=False)
    return max(before + turns * load + behind for before, load, behind in work)


@pytest.mark.parametrize("memory", ["60KiB", "100KiB"])
def test_no_division_that_has_room_keeps_all_ranks_less_busy(memory: str) -> None:
    """By the numbers of operators that ranks can hold, and by dynamic programming, which is exact."""
    meshes, tried = (
        uneven(4, "linear -> relu", memory),
        Counter[tuple[str | None, bool]](),
    )
    for mesh in meshes.all():
        if mesh.rounds == 1 or mesh.microbatches != 4 or mesh.sharded == "states":
            continue
        cost = meshes.cost(mesh)
        able = [
            (busiest(each), each)
            for each in every_division(meshes, mesh)
            if max(each.peaks) <= meshes.usable
        ]
        least = min((seconds for seconds, _ in able), default=float("inf"))
        uses = TimedUses(cost, meshes.usable)
        packing = Packing(uses, 1e3, 10**9)
        starts = packing.least()
        tried[mesh.schedule, starts is not None] += 1
        assert Cover(uses, 1e3).bound <= min(least, 1e3) * (1 + 1e-12)
        if starts is None:
            assert not able
            continue
        assert packing.most <= least * (1 + 1e-12)
        loads = min(each.least for _, each in able)
        assert packing.most >= loads * (1 - 1e-12)
        found = cost.divided(starts)
        assert max(found.peaks) <= meshes.usable * (1 + 1e-12)
        assert packing.most <= busiest(found) * (1 + 1e-12)
        steps = min(simulated(each) for _, each in able[::5])
        assert steps >= packing.most * (1 - 1e-12)
        assert Packing(uses, packing.most, 10**9).least() is None
    assert sum(fits for _, fits in tried) == 3, tried


@pytest.mark.parametrize("close", [1.05, 1e3])
def test_paths_among_divisions_that_have_room_are_bounds(close: float) -> None:
    """Their sums are least of all that have room and are not too busy, and no step takes less."""
    meshes, tried = uneven(4, "linear -> relu", "60KiB"), 0
    for mesh in meshes.all():
        if mesh.rounds == 1 or mesh.microbatches != 4 or mesh.sharded != "nothing":
            continue
        every = every_division(meshes, mesh)
        able = [each for each in every if max(each.peaks) <= meshes.usable]
        if able:
            seconds = close * min(map(busiest, able))
            check_paths([each for each in able if busiest(each) < seconds], seconds)
            tried += 1
    assert tried > 5


def check_paths(able: Sequence[Divided], seconds: float) -> None:
    """Of the divisions that have room and are done before so many seconds."""
    cost, usable = able[0].cost, max(max(each.peaks) for each in able)
    uses = WeighedUses(cost, usable, seconds)

    def least_sum(shares: Sequence[Share]) -> tuple[float, Sequence[int]]:
        uses.shares = shares
        packing = Packing(uses, float("inf"), 10**9)
        starts = packing.least()
        assert starts is not None
        assert max(cost.divided(starts).peaks) <= usable * (1 + 1e-12)
        assert packing.most == pytest.approx(weighed(shares, starts), rel=1e-12)
        least = min(weighed(shares, each.starts) for each in able)
        assert packing.most <= least * (1 + 1e-12)
        return packing.most, starts

    play = Paths(cost).play(able[0].starts, float("inf"), seconds, least_sum)
    bound = max(each.bound for each in itertools.islice(play, 3))
    some = able[:: 1 + len(able) // 50]
    assert min(map(simulated, some)) >= bound * (1 - 1e-12)


def weighed(shares: Sequence[Share], starts: Sequence[int]) -> float:
    borders = itertools.pairwise(starts)
    return sum(share.of(*each) for share, each in zip(shares, borders, strict=True))


def test_what_was_not_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_least_room, "MOST_STEPS", 0)
    monkeypatch.setattr(mesh_place, "MOST_DEVICES", 0)
    with pytest.raises(SpecError) as caught:
        best_mesh(analysis(), small("60KiB"), SIZES, {"rounds": 2, "pipeline": 4})
    hint = caught.value.diagnostic.hint or ""
    assert "surely not with less than" in hint
    most, least = (int(each.split()[0]) for each in hint.split("(")[1:])
    assert least < 248_668 <= most  # what the least of all divisions needs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memory", "fixed"),
    [
        ("100KiB", {}),
        ("150KiB", {}),
        ("200KiB", {}),
        ("150KiB", {"schedule": "ZBVZeroBubble"}),
        ("240KiB", {"rounds": 2, "pipeline": 4}),
    ],
    ids=str,
)
def test_the_number_of_devices_that_is_named_is_enough_and_none_less_is(
    memory: str, fixed: dict[str, int | str]
) -> None:
    with pytest.raises(SpecError) as caught:
        best_mesh(analysis(), small(memory), SIZES, fixed)
    hint = caught.value.diagnostic.hint or ""
    count = int(hint.split(" or on ")[1].split()[0])
    enough = small(memory, nodes=count // 2)
    assert best_mesh(analysis(), enough, SIZES, fixed).value > 0
    for nodes in range(3, count // 2):
        with pytest.raises(SpecError) as caught:
            best_mesh(analysis(), small(memory, nodes=nodes), SIZES, fixed)
        assert caught.value.diagnostic.code in ("E1011", "E1016", "E1020")


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
    wire = Wire(1.0, 0.0)
    chains = [Chain(found, preset("8xh100"), spec.symbols, n, wire) for n in (1, 8)]
    whole, split = (chain.weights.whole for chain in chains)
    kept = 4 * 65 * 4096  # all but the norms
    assert whole == int(found.figure("weight_bytes"))
    assert split == pytest.approx(kept + (whole - kept) / 8, rel=1e-12)


def test_halves_run_together_where_blocks_are_computed_again() -> None:
    whole, apart = (
        Chain(
            Analysis(spec_of(text).program, Setting()),
            preset("2xh100"),
            {"B": 64, "T": 512},
            1,
            Wire(1.0, 0.0),
        )
        for text in (recomputed(MIXED), MIXED)
    )
    assert whole.inputs.whole == whole.backward.whole > apart.backward.whole
    assert whole.weight_gradients.whole == whole.between_halves.whole == 0
    assert apart.inputs.whole < apart.backward.whole
    assert min(apart.weight_gradients.whole, apart.between_halves.whole) > 0


def test_attention_is_shared_by_heads_and_vocabularies_by_rows() -> None:
    spec = load("specs/language/llama.nns", "Llama3_8B")
    named = {
        each.name: [
            sorted(str(each.nodes[n].path[0]) for n in numbers)
            for numbers in (
                shared.columns,
                shared.rows,
                shared.embeddings,
                shared.heads,
            )
        ]
        for key, shared in shared_nodes(spec.program, 8).items()
        for each in [spec.program.functions[key]]
        if shared.nodes
    }
    assert named == {
        "Attention": [["k_proj", "q_proj", "v_proj"], ["o_proj"], [], []],
        "SwiGLU": [["gate_proj", "up_proj"], ["down_proj"], [], []],
        "Llama": [[], [], ["embed"], ["lm_head"]],
    }


def test_grouped_heads_that_do_not_divide_stay_whole() -> None:
    spec = load("specs/language/llama.nns", "Llama3_8B")  # 32 heads, 8 of keys
    for tensor, shared in ((8, {"Attention", "SwiGLU"}), (16, {"SwiGLU"})):
        found = shared_nodes(spec.program, tensor)
        functions = spec.program.functions
        assert {functions[k].name for k, v in found.items() if v.rows} == shared


def test_a_residual_stream_is_not_split() -> None:
    source = """
    model Stream {
      input x: [B, 8]
      y = x + (x -> Linear(8))
      output z = (y -> Linear(8)) + y
    }
    """
    (spec,) = load_source(Source("stream.nns", source), ["Stream"], {})
    assert not any(each.nodes for each in shared_nodes(spec.program, 2).values())


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
    for schedule in SCHEDULES:
        fixed: dict[str, int | str] = {
            "pipeline": 2,
            "schedule": schedule,
            "microbatches": 4,
        }
        found = best_mesh(analysis(), small("4MiB"), SIZES, fixed).mesh
        assert (found.pipeline, found.schedule, found.microbatches) == (2, schedule, 4)
    with pytest.raises(SpecError) as caught:
        best_mesh(analysis(), small("4MiB"), SIZES, {"data": 3})
    assert caught.value.diagnostic.code == "E1020"


# ---- plans that are given back -----------------------------------------------------------


def checked(plan: MeshPlan, cluster: Cluster | None = None, **sizes: int) -> MeshPlan:
    asked: dict[str, Size] = {**SIZES, **sizes}
    return check_mesh(plan, analysis(), cluster or small("4MiB"), asked)


@pytest.mark.parametrize("schedule", [None, *SCHEDULES])
def test_a_plan_that_is_given_back_costs_the_same(schedule: str | None) -> None:
    fixed: dict[str, int | str] = {"microbatches": 4}
    fixed |= {"pipeline": 1} if schedule is None else {"schedule": schedule}
    found = best_mesh(analysis(), small("4MiB"), SIZES, fixed)
    again = checked(mesh_from_json(found.to_json()))
    assert again.status == "checked"
    kept = ("value", "mesh", "stages", "devices", "assignment", "limits", "batch")
    for name in kept:
        assert getattr(again, name) == getattr(found, name), name
    assert again.bound <= again.value


def test_a_plan_by_hand_needs_its_axes_and_labels_only() -> None:
    text = json.dumps(
        {
            "mesh": {
                "data": 2,
                "pipeline": 2,
                "schedule": "1F1B",
                "microbatches": 4,
            },
            "assignment": {"wte": 0, "blocks.0-2": 0, "blocks.3": 1}
            | {"layer_norm": 1, "wte.weight": 1, "linear": 1},
        }
    )
    found = checked(mesh_from_json(text))
    assert found.stages[0].operators == ("wte", "blocks.0", "blocks.1", "blocks.2")
    assert found.value > best_mesh(analysis(), small("4MiB"), SIZES).value
    assert [d.stages for d in found.devices] == [(0,), (0,), (1,), (1,)]


@pytest.mark.parametrize("value", [8, 32])
def test_a_plan_is_costed_at_the_batch_that_is_asked_for(value: int) -> None:
    found = best_mesh(analysis(), small("4MiB"), SIZES, {"data": 4})
    again = checked(found, B=value)
    assert again.batch == value
    assert (again.value < found.value) == (value < 16)


def test_operators_need_not_stand_as_in_the_model() -> None:
    source = """
    model Two {
      input x: [B, 8]
      left = x -> left: Linear(64)
      right = x -> right: Linear(64)
      output z = (left -> last: Linear(8)) + (right -> other: Linear(8))
    }
    """
    (spec,) = load_source(Source("two.nns", source), ["Two"], {})
    mesh = {"data": 2, "pipeline": 2, "schedule": "1F1B", "microbatches": 2}
    given = {"left": 0, "last": 0, "right": 1, "other": 1, "add": 1}
    text = json.dumps({"mesh": mesh, "assignment": given})
    two = Analysis(spec.program, Setting())
    found = check_mesh(mesh_from_json(text), two, small("4MiB"), {"B": 8})
    assert found.stages[0].operators == ("left", "last")
    assert found.devices[0].parameter_bytes == 4 * (8 * 64 + 64 + 64 * 8 + 8)


def test_every_way_to_be_wrong_is_said() -> None:
    found = best_mesh(analysis(), small("4MiB"), SIZES, {"schedule": "1F1B"})
    for case, code, words in FAULTS:
        changed = {**json.loads(found.to_json()), **case}
        with pytest.raises((SpecError, SpecErrors)) as caught:
            checked(mesh_from_json(json.dumps(changed)))
        diagnostic = said(caught.value)
        assert (diagnostic.code, words in diagnostic.message) == (code, True), (
            diagnostic.message
        )


def said(error: BaseException) -> Diagnostic:
    if isinstance(error, SpecErrors):
        return error.diagnostics[0]
    assert isinstance(error, SpecError)
    return error.diagnostic


def axes(**fields: object) -> dict[str, object]:
    given = {"data": 1, "tensor": 2, "pipeline": 2, "schedule": "1F1B"}
    return {"mesh": {"microbatches": 4, **given, **fields}}


OPERATORS = ["wte", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "layer_norm"]
OPERATORS += ["wte.weight", "linear"]


def listed(*stages: int) -> dict[str, object]:
    """The operators in these stages; the mesh has two."""
    found = [
        {
            "stage": n,
            "operators": [o for o, s in zip(OPERATORS, stages, strict=True) if s == n],
        }
        for n in range(max(stages) + 1)
    ]
    return {**axes(), "stages": found, "assignment": {}}


FAULTS = (
    (axes(data=3), "E1020", "takes 12 devices"),
    (axes(tensor=4, pipeline=1, schedule=None), "E1020", "tensor 4 does not divide"),
    (axes(microbatches=3), "E1016", "a batch of 16 does not divide"),
    (axes(schedule=None), "E1031", "needs a schedule"),
    (axes(schedule="ZBVZeroBubble"), "E1031", "two stages on each rank"),
    (axes(schedule="2F2B"), "E1012", "malformed at `mesh.schedule`"),
    (
        axes(data=2, tensor=1, schedule="InterleavedZeroBubble", sharded="weights"),
        "E1031",
        "does not run with weights sharded",
    ),
    (axes(data=0), "E1012", "malformed at `mesh.data`"),
    (listed(0, 0, 0, 0, 0, 0, 0, 0), "E1012", "stage 1 has no operators"),
    (listed(0, 0, 0, 0, 1, 1, 1, 2), "E1012", "there is no stage 2"),
    (listed(1, 1, 1, 0, 0, 0, 0, 0), "E1012", "stages are numbered in the order"),
    (listed(0, 1, 0, 1, 1, 1, 1, 1), "E1017", "back and forth"),
    (
        {"stages": [], "assignment": {}, **axes()},
        "E1012",
        "does not say which operators",
    ),
    (
        {"stages": [], "assignment": {"wte": 0}, **axes()},
        "E1012",
        "places no `blocks.0`",
    ),
    (
        {
            "stages": [],
            "assignment": dict.fromkeys(OPERATORS, 0) | {"wtf": 1},
            **axes(),
        },
        "E1012",
        "`wtf`, which is no operator",
    ),
    (
        {
            **axes(),
            "assignment": {},
            "stages": [
                {"stage": 0, "operators": OPERATORS},
                {"stage": 1, "operators": ["linear"]},
            ],
        },
        "E1012",
        "`linear` is in stage 0 and in stage 1",
    ),
    (
        {**listed(0, 0, 0, 0, 1, 1, 1, 1), "assignment": {"linear": 0}},
        "E1012",
        "by `stages` and in stage 0 by `assignment`",
    ),
    (
        {
            **axes(),
            "assignment": {},
            "stages": [
                {"stage": 0, "operators": OPERATORS[:4], "devices": ["gpu:0", "gpu:1"]},
                {"stage": 1, "operators": OPERATORS[4:]},
            ],
        },
        "E1008",
        "no device `gpu:0`",
    ),
    (
        {
            **axes(),
            "assignment": {},
            "stages": [
                {
                    "stage": 0,
                    "operators": OPERATORS[:4],
                    "devices": ["node1/tiny:0", "node1/tiny:1"],
                },
                {"stage": 1, "operators": OPERATORS[4:]},
            ],
        },
        "E1012",
        "stage 0 runs on node0/tiny:0 to node0/tiny:1",
    ),
)


def test_a_plan_that_does_not_fit_names_the_memory_that_would_do() -> None:
    found = best_mesh(analysis(), small("4MiB"), SIZES, {"data": 4})
    with pytest.raises(SpecErrors) as caught:
        checked(found, small("300KiB"))
    diagnostic = said(caught.value)
    assert diagnostic.code == "E1011"
    amount = float((diagnostic.hint or "").split(" with ")[1].split()[0]) * 1024
    enough = small(f"{amount:.0f}B")
    assert checked(found, enough).value == pytest.approx(found.value)


# ---- what plans say ----------------------------------------------------------------------


@pytest.mark.parametrize("sharded", ["nothing", "states", "gradients", "weights"])
@pytest.mark.parametrize(
    ("data", "tensor", "pipeline"), [(4, 1, 1), (2, 2, 1), (2, 1, 2)]
)
def test_every_device_says_its_load_and_its_memory_over_time(
    sharded: str, data: int, tensor: int, pipeline: int
) -> None:
    fixed: dict[str, int | str] = {
        "data": data,
        "tensor": tensor,
        "pipeline": pipeline,
        "sharded": sharded,
        "microbatches": 2,
    }
    found = best_mesh(analysis(), small("4MiB"), SIZES, fixed)
    names = [device.name for device in small("4MiB").devices]
    assert [device.name for device in found.devices] == names
    for device in found.devices:
        assert device.load == pytest.approx(device.computing + device.communicating)
        assert device.load <= found.value * (1 + 1e-12)
        assert max(amount for _, amount in device.memory) == pytest.approx(device.peak)
        assert device.memory[0][0] == 0
        assert device.memory[-1][0] <= found.value
    assert set(found.assignment) == set(OPERATORS)
    held = sum(device.parameter_bytes for device in found.devices)
    whole = int(analysis().figure("weight_bytes"))
    if pipeline == 1 and tensor == 1:
        assert held == whole * (data if sharded == "nothing" else 1)
    if tensor == 2:
        assert dict(found.split) == {
            "wte": "vocabulary",
            "blocks.0-3.fc": "columns",
            "blocks.0-3.out": "rows",
        }
        blocks = 4 * 4 * (32 * 128 + 128 + 128 * 32)  # what is split of the four blocks
        shared = blocks + 4 * 100 * 32
        times = data if sharded == "nothing" else 1
        assert held == times * (2 * (whole - shared) + shared)


def test_a_weight_of_two_stages_is_in_both() -> None:
    fixed: dict[str, int | str] = {"pipeline": 4, "microbatches": 4}
    found = best_mesh(analysis(), small("4MiB"), SIZES, fixed)
    held = sum(device.parameter_bytes for device in found.devices)
    whole, table = int(analysis().figure("weight_bytes")), 4 * 100 * 32
    assert held == whole + table


def test_uneven_shards_are_those_of_fsdp() -> None:
    source = """
    model Odd {
      input x: [B, 3]
      output z = x -> Linear(7, bias=false)
    }
    """
    (spec,) = load_source(Source("odd.nns", source), ["Odd"], {})
    fixed: dict[str, int | str] = {"data": 4, "sharded": "weights"}
    found = best_mesh(Analysis(spec.program, Setting()), small("4MiB"), {"B": 8}, fixed)
    # ceil(7 / 4) = 2 rows on each, and what is left on the last.
    assert [d.parameter_bytes for d in found.devices] == [24, 24, 24, 12]


# ---- batch statistics --------------------------------------------------------------------

NORMED = """
model Normed {
  input x: [B, 8]
  output z = x -> Linear(64) -> BatchNorm -> relu -> Linear(8)
}
"""


def test_no_mesh_takes_batch_statistics_of_microbatches() -> None:
    (spec,) = load_source(Source("normed.nns", NORMED), ["Normed"], {})
    found = Analysis(spec.program, Setting())
    every = list(Meshes(found, small("4MiB"), {"B": 8}).all())
    assert {mesh.microbatches for mesh in every} == {1}
    assert {mesh.pipeline for mesh in every} >= {1, 2, 4}
    plan = best_mesh(found, small("4MiB"), {"B": 8}, {"data": 4})
    assert "batch normalisation (`batch_norm`)" in plan.warnings[0]
    with pytest.raises(SpecError) as caught:
        best_mesh(found, small("4MiB"), {"B": 8}, {"microbatches": 2})
    assert caught.value.diagnostic.code == "E1030"
    given = plan.model_copy(
        update={"mesh": plan.mesh.model_copy(update={"microbatches": 2})}
    )
    with pytest.raises(SpecError) as caught:
        check_mesh(given, found, small("4MiB"), {"B": 8})
    assert caught.value.diagnostic.code == "E1030"


@pytest.mark.parametrize("sharded", SHARDED)
@pytest.mark.parametrize(("data", "tensor"), [(4, 1), (2, 2)])
def test_parameter_bytes_are_those_of_the_engines(
    sharded: Sharded, data: int, tensor: int
) -> None:
    fixed: dict[str, int | str] = {"data": data, "tensor": tensor, "sharded": sharded}
    found = best_mesh(analysis(), small("4MiB"), SIZES, fixed)
    plan = TensorPlan(analysis().program, tensor)
    shape = MeshShape(data, tensor, 1, sharded, 1)
    for device in found.devices:
        assert device.parameter_bytes == 4 * held_elements(plan, shape, device.data)


def test_a_mesh_says_that_it_heeds_no_pins_of_the_spec() -> None:
    text = NORMED.replace("  output z", '  @device("x:0")\n  output z')
    (spec,) = load_source(Source("normed.nns", text), ["Normed"], {})
    found = Analysis(spec.program, Setting())
    plan = best_mesh(found, small("4MiB"), {"B": 8}, {"data": 1})
    assert [warning for warning in plan.warnings if "`@device`" in warning]
