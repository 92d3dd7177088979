"""Times on a device: each operator by hand, whole models as the sums of their parts, nothing guessed."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.setting import Setting
from nnspec.analysis.summary import summary
from nnspec.analysis.timing.device import Device, load_device
from nnspec.analysis.timing.kernels import MODES, Kernel, Kernels, Mode
from nnspec.analysis.timing.latency import SECOND, Latency, Workload, update
from nnspec.analysis.timing.roofline import Duration, Factors, Roofline
from nnspec.cli.main import main
from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.source import Source
from nnspec.spec import Spec

OWN = """\
title = "round figures"
memory = "1GB"
bandwidth = "1GB/s"
launch = "1ms"
[peak]
fp32 = "1TFLOP/s"
bf16 = "4TFLOP/s"
"""


@pytest.fixture(autouse=True)
def no_calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSPEC_DEVICES", str(tmp_path / "devices"))


@pytest.fixture
def device(tmp_path: Path) -> Device:
    path = tmp_path / "round.toml"
    path.write_text(OWN)
    return load_device(str(path))


def spec_of(body: str, **settings: int) -> Spec:
    text = f"model M {{\n{body}\n}}\n"
    given = {name: str(value) for name, value in settings.items()}
    (found,) = load_source(Source("spec.nns", text), None, given)
    return found


def kernels_of(
    spec: Spec, mode: Mode = "forward", **setting: str
) -> dict[str, tuple[Kernel, ...]]:
    """The kernels of each node of the model by its path."""
    analysis = Analysis(spec.program, Setting.named(**setting))
    kernels = Kernels(analysis.setting, spec.symbols, mode)
    sites = analysis.uses.inside(analysis.uses.main).sites
    return {".".join(map(str, s.node.path)): kernels.of_site(s) for s in sites}


LINEAR = "input x: [B, 30]\noutput y = x -> fc: Linear(50)"


def test_a_linear_layer_by_hand() -> None:
    moved = 4 * (8 * 30 + 30 * 50 + 50 + 8 * 50)
    kernel = Kernel(2 * 8 * 30 * 50, "fp32", 8 * 50, moved)
    (found,) = kernels_of(spec_of(LINEAR, B=8))["fc"]
    assert (found.flops, found.element, found.bytes) == (24_000, "fp32", kernel.bytes)
    assert found.launches == 1


def test_its_backward_pass_by_hand() -> None:
    """x is an input and needs no gradient: the gradients of weight and bias, from x and that of y."""
    _, backward = kernels_of(spec_of(LINEAR, B=8), "training")["fc"]
    assert backward.flops == 24_000
    assert backward.bytes == 4 * ((30 * 50 + 50) + 8 * 50 + 8 * 30)
    assert backward.launches == 1


def test_a_second_layer_hands_its_gradient_on() -> None:
    body = "input x: [B, 30]\noutput y = x -> a: Linear(50) -> b: Linear(20)"
    _, backward = kernels_of(spec_of(body, B=8), "training")["b"]
    weights = 50 * 20
    assert backward.flops == 2 * 2 * 8 * weights
    assert backward.bytes == 4 * ((8 * 50 + weights + 20) + 8 * 20 + (8 * 50 + weights))
    assert backward.launches == 2


@pytest.mark.parametrize(
    "step", ["reshape([B, 5, 6])", "transpose", "unsqueeze(dim=0)", "Dropout(0.5)"]
)
def test_views_cost_nothing(step: str) -> None:
    found = kernels_of(spec_of(f"input x: [B, 30]\noutput y = x -> {step}", B=8))
    assert list(found.values()) == [()]


def test_a_parameter_is_read_by_whom_uses_it() -> None:
    body = "input x: [B, 30]\nscale = Param([30])\noutput y = x * scale"
    found = kernels_of(spec_of(body, B=8), "training")
    assert found["scale"] == ()
    assert found["multiply"][0].bytes == 4 * (8 * 30 + 30 + 8 * 30)


def test_the_gradient_of_a_sum_is_handed_on_without_a_kernel() -> None:
    body = "input x: [B, 30]\ny = x -> a: Linear(30)\noutput z = y + x"
    found = kernels_of(spec_of(body, B=8), "training")
    assert len(found["a"]) == 2
    assert len(found["add"]) == 1


def test_the_policy_says_what_elements_weigh_and_which_units_compute() -> None:
    (kernel,) = kernels_of(spec_of(LINEAR, B=8), policy="mixed_bf16")["fc"]
    assert kernel.element == "bf16"
    assert kernel.bytes == 2 * (8 * 30 + 30 * 50 + 50 + 8 * 50)
    (kernel,) = kernels_of(spec_of(LINEAR, B=8), policy="int8")["fc"]
    assert kernel.bytes == 2 * (8 * 30 + 8 * 50) + (30 * 50 + 50)


def test_an_unfused_attention_writes_its_scores_and_launches_more() -> None:
    body = "input q: [B, 2, 16, 8]\noutput y = attention(q, q, q)"
    ((fused,),) = kernels_of(spec_of(body, B=3)).values()
    ((apart,),) = kernels_of(spec_of(body, B=3), attention="materialised").values()
    scores = 3 * 2 * 16 * 16 * 4
    assert apart.bytes - fused.bytes == 2 * 2 * scores
    assert (fused.launches, apart.launches) == (1, 3)
    assert apart.flops == fused.flops


@pytest.mark.parametrize(
    ("policy", "optimizer", "bytes_a_weight"),
    [
        ("fp32", "sgd", 4 + 2 * 4),
        ("fp32", "momentum", 4 + 2 * 4 + 2 * 4),
        ("fp32", "adam", 4 + 2 * 4 + 2 * 8),
        ("mixed_bf16", "adam", 2 + 2 + 2 * (4 + 8)),
    ],
)
def test_the_optimizers_step_by_hand(
    policy: str, optimizer: str, bytes_a_weight: int
) -> None:
    """Gradients read; weights and states read and written; of mixed weights the copy is only written."""
    spec = spec_of("input x: [B, 30]\noutput y = x -> fc: Linear(50)", B=8)
    setting = Setting.named(policy=policy, optimizer=optimizer)
    moved = update(Analysis(spec.program, setting)).bytes
    counters = 2 * 2 * 4  # Adam counts the steps of each weight
    assert 0 <= moved - (30 * 50 + 50) * bytes_a_weight <= counters


# ---- the roofline -----------------------------------------------------------------------------------


def test_the_longer_of_arithmetic_and_traffic_counts_and_the_launch(
    device: Device,
) -> None:
    roofline = Roofline(device)
    busy = roofline.duration(Kernel(5 * 10**12, "fp32", 0, 10**9))
    assert busy == Duration(
        Fraction(5), Fraction(1), Fraction(1, 1000), Fraction(5001, 1000)
    )
    assert busy.bottleneck == "compute"
    assert roofline.duration(Kernel(5, "fp32", 0, 10**9)).bottleneck == "memory"
    assert roofline.duration(Kernel(5, "fp32", 0, 10)).bottleneck == "launch"
    assert roofline.duration(Kernel(0, "fp32", 3 * 10**12, 10)).compute == 3
    assert roofline.duration(Kernel(4 * 10**12, "bf16", 0, 10)).compute == 1


def test_factors_stretch_each_part(device: Device) -> None:
    kernel = Kernel(10**12, "fp32", 0, 10**9, launches=2)
    factors = Factors(Fraction(2), Fraction(3), Fraction(1, 10))
    assert Roofline(device, factors).duration(kernel).total == Fraction(32, 10)
    apart = Factors(Fraction(2), Fraction(3), Fraction(1, 10), overlap=False)
    assert Roofline(device, apart).duration(kernel).total == Fraction(52, 10)


def test_products_that_the_device_has_no_rate_for_are_an_error() -> None:
    spec = spec_of(LINEAR, B=8)
    analysis = Analysis(spec.program, Setting.named(policy="bf16"))
    latency = Latency(analysis, Roofline(load_device("v100")), spec.symbols, "forward")
    with pytest.raises(SpecError, match="bf16"):
        _ = latency.seconds


@pytest.mark.parametrize("wrong", [{"policy": "bf16"}, {"S": 3}, {"B": 0}])
def test_what_is_no_size_of_the_model_is_an_error(wrong: dict[str, Any]) -> None:
    spec = spec_of("input x: [B, 4]\noutput y = x -> Linear(3)")
    with pytest.raises(SpecErrors):
        spec.forecast("h100", **{"B": 2, **wrong})


def test_free_sizes_have_no_time() -> None:
    spec = spec_of("input x: [B, T, 4]\noutput y = x -> relu", B=2)
    with pytest.raises(SpecError, match="`T` has no value") as raised:
        Latency(
            Analysis(spec.program),
            Roofline(load_device("h100")),
            spec.symbols,
            "forward",
        )
    assert raised.value.diagnostic.hint == "give T=..."


# ---- whole models -------------------------------------------------------------------------------------

MODELS = [
    ("vision/resnet.nns:ResNet50", {"B": 8}),
    ("language/gpt2.nns:GPT2Small", {"B": 2, "T": 128}),
    ("language/t5.nns:T5Small", {"B": 2, "S": 32, "T": 16}),
]


def loaded(name: str, sizes: dict[str, int]) -> Spec:
    from nnspec import load

    path, _, model = name.partition(":")
    return load(f"specs/{path}", model, **sizes)


@pytest.mark.parametrize(("name", "sizes"), MODELS, ids=lambda each: str(each))
@pytest.mark.parametrize("mode", MODES)
def test_the_parts_add_up(name: str, sizes: dict[str, int], mode: Mode) -> None:
    spec = loaded(name, sizes)
    analysis = Analysis(spec.program)
    latency = Latency(analysis, Roofline(load_device("h100")), spec.symbols, mode)
    tree = summary(
        spec.program, figures=(), analysis=analysis, more=dict(latency.totals)
    )
    whole = sum(int(time) for time in tree.figures.values())
    rows = sum(int(t) for row in tree.children for t in row.figures.values())
    assert rows == whole
    step = latency.update.total if latency.update else 0
    nodes = sum(latency.work.kernels.values())
    assert abs(whole - (latency.seconds - step) * SECOND) <= nodes
    assert latency.seconds == sum(latency.shares.values())


@pytest.mark.parametrize(("name", "sizes"), MODELS, ids=lambda each: str(each))
def test_the_work_of_all_kernels_is_the_figures_of_the_model(
    name: str, sizes: dict[str, int]
) -> None:
    spec = loaded(name, sizes)
    analysis = Analysis(spec.program)
    forward = Workload(analysis, spec.symbols, "forward").kernels
    training = Workload(analysis, spec.symbols, "training").kernels

    def summed(kernels: dict[Kernel, int], part: str) -> int:
        return sum(getattr(kernel, part) * n for kernel, n in kernels.items())

    def figure(name: str) -> int:
        return int(analysis.figure(name).at(spec.symbols))

    assert summed(forward, "flops") == figure("flops")
    assert summed(training, "flops") == figure("training_flops")
    assert summed(forward, "operations") == figure("elementwise")
    assert summed(forward, "bytes") == figure("bytes_read") + figure("bytes_written")


def test_a_bound_is_no_less_than_either_roof() -> None:
    spec = loaded("language/gpt2.nns:GPT2Small", {"B": 8, "T": 1024})
    device = load_device("a100")
    analysis = Analysis(spec.program, Setting.named(policy="bf16"))
    latency = Latency(analysis, Roofline(device), spec.symbols, "forward")
    flops = analysis.figure("flops").at(spec.symbols)
    moved = sum(
        int(analysis.figure(name).at(spec.symbols))
        for name in ("bytes_read", "bytes_written")
    )
    compute = int(flops) / device.rate("bf16")
    memory = moved / device.bandwidth.value
    launches = sum(k.launches * n for k, n in latency.work.kernels.items())
    assert device.launch is not None
    overhead = launches * device.launch.value
    assert max(compute, memory) + overhead <= latency.seconds
    assert latency.seconds <= compute + memory + overhead


def test_equal_layers_are_looked_at_once() -> None:
    shallow = loaded("language/gpt2.nns:GPT2Small", {"B": 2, "T": 64, "depth": 1})
    deep = loaded("language/gpt2.nns:GPT2Small", {"B": 2, "T": 64, "depth": 96})
    works = [
        Workload(Analysis(spec.program), spec.symbols, "training")
        for spec in (shallow, deep)
    ]
    one, many = (sum(work.kernels.values()) for work in works)
    assert many > 50 * one
    assert len(works[0].kernels) == len(works[1].kernels)


def test_the_example_of_the_documentation() -> None:
    text = Path("docs/devices.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    shown = [line[2:] for line in code.splitlines() if line.startswith("# ")]
    assert done.stdout.splitlines() == shown


# ---- the command ----------------------------------------------------------------------------------------


def test_the_command_prints_times_and_bottlenecks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = "specs/language/gpt2.nns:GPT2Small"
    command = ["cost", spec, "B=8", "T=1024", "--device", "h100"]
    assert main([*command, "--policy", "mixed_bf16", "--depth", "2"]) == 0
    page = capsys.readouterr().out
    assert "at least" in page
    assert "12 x blocks.0-11.qkv" in page
    assert "A bound from below" in page
    assert "calibrated" not in page
    assert main([*command, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["forward"]["at_least_s"] > 0
    assert found["forward"]["calibrated"] is None
    assert found["training"]["at_least_s"] > found["forward"]["at_least_s"]
    parts = [part["forward"]["at_least_s"] for part in found["parts"]]
    assert sum(parts) == pytest.approx(found["forward"]["at_least_s"])
    assert {part["forward"]["bottleneck"] for part in found["parts"]} <= {
        *("compute", "memory", "launch", "-")
    }


def test_a_policy_that_cannot_train_has_no_training_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = "specs/vision/resnet.nns:ResNet50"
    assert main(["cost", spec, "B=1", "--device", "l4", "--policy", "int8"]) == 0
    page = capsys.readouterr().out
    assert "forward pass" in page
    assert "training step" not in page
