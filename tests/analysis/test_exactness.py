"""Figures that are bounds or rest on assumptions say so."""

from __future__ import annotations

import json

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.exactness import CONCERNS, remarks
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.setting import Setting
from nnspec.cli.main import main
from nnspec.ops import OPS
from tests.ir.models import program

ALL = tuple(FIGURES)
LINEAR = "model M { input x: [B, 8]\n output y = x -> Linear(4) -> gelu }"
DROPPED = "model M { input x: [B, T, 8]\n output y = x -> LSTM(8) -> Dropout(0.1) }"
SORTED = "model M { input x: [B, 8]\n y, places = topk(x, 3)\n output z = y\n output at = places }"


def said(text: str, *figures: str, **chosen: str) -> dict[str, set[str]]:
    """The figures that are not exact, each with the operators that leave it open."""
    found: dict[str, set[str]] = {}
    analysis = Analysis(program(text), Setting.named(**chosen))
    for each in remarks(analysis, figures or ALL):
        for name in each.figures:
            found.setdefault(name, set()).update(each.operators)
    return found


def test_counts_are_exact() -> None:
    found = said(LINEAR)
    for name in ("parameters", "flops", "training_flops", "saved_bytes", "elementwise"):
        assert name not in found
    for name in ("train_peak", "inference_peak", "bytes_read", "intensity"):
        assert found[name] == set()


def test_operators_say_what_they_leave_open() -> None:
    found = said(DROPPED)
    assert found["saved_bytes"] == found["train_peak"] == {"LSTM", "Dropout"}
    assert said(DROPPED, dropout="off")["saved_bytes"] == {"LSTM"}
    assert said(SORTED)["elementwise"] == {"topk"}


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ('y = resize(x, [H // 2, W // 2], method="bilinear")', "resize"),
        ("y = scatter_add(zeros([B, C, 9, W]), at, x, dim=2)", "scatter_add"),
        ("y = gather(x, at, dim=2)", "gather"),
    ],
)
def test_what_reads_or_writes_elements_more_or_less_than_once(
    body: str, operator: str
) -> None:
    """Their traffic is not exact; what they keep is (`test_truth_resampling`)."""
    found = said(
        f"model M {{ input x: [B, C, H, W]\n input at: i64[B, C, H]\n output {body} }}"
    )
    assert found["bytes_read"] == found["bytes_written"] == {operator}
    assert "saved_bytes" not in found
    assert found["train_peak"] == set()


@pytest.mark.framework
@pytest.mark.parametrize(
    ("body", "is_bound"),
    [
        ('resize([2 * H, 2 * W], method="bilinear")', False),
        ('resize([H // 2, W], method="nearest")', False),
        ('resize([H // 4, W], method="bilinear")', True),
        ("Conv(8, 3, stride=2, dilation=2)", False),
        ("avg_pool(2, stride=[2, 3])", False),
    ],
)
def test_cells_that_nothing_reads(body: str, is_bound: bool) -> None:
    """Those that PyTorch gives no gradient."""
    import torch

    from nnspec.verify.build import build
    from tests.ir.models import spec

    text = f"model M {{ input x: [B, 4, H, W]\n output y = x -> {body} }}"
    assert any(said(text, "bytes_read")["bytes_read"]) == is_bound
    model, x = spec(text), torch.ones(1, 4, 12, 13, requires_grad=True)
    module = build(model, "torch")
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(1.0)
    module(x).sum().backward()
    assert x.grad is not None
    analysis = Analysis(model.program, Setting())
    sizes = {"B": 1, "H": 12, "W": 13}
    weights = sum(weight.nelement() for weight in module.parameters())
    read = int(analysis.figure("bytes_read").at(sizes)) // 4 - weights
    truth = int((x.grad != 0).sum())
    assert read < truth if is_bound else read == truth


def test_layers_that_nothing_reads_have_no_weights_in_keras() -> None:
    text = """
    model M {
      input x: [B, 8]
      unread = x -> side: Linear(8) -> behind: Linear(8)
      output y = x -> body: Linear(8)
    }
    """
    names = ("flops", "elementwise", "parameters", "keras_parameters")
    assert said(text, *names) == {"keras_parameters": {"side", "behind"}}


def test_optimizers_that_pytorch_does_not_have() -> None:
    assert "optimizer_bytes" not in said(LINEAR)
    assert "optimizer_bytes" in said(LINEAR, optimizer="adam8bit")


def test_what_operators_say_concerns_figures_that_there_are() -> None:
    assert set(CONCERNS) <= set(FIGURES)
    told = [caveat for op in OPS.values() for caveat in op.caveats]
    assert len(told) >= 8
    assert {caveat.concern for caveat in told} <= set(CONCERNS.values())


def test_the_command_shows_them(
    tmp_path: object,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(str(tmp_path))
    with open("net.nns", "w") as file:
        file.write(DROPPED)
    assert main(["cost", "net.nns", "B=2", "T=5"]) == 0
    printed = capsys.readouterr().out
    assert (
        "about: saved activations, peak of inference, peak of training (LSTM: "
        in printed
    )
    assert "at most: saved activations" in printed
    assert main(["cost", "net.nns", "--figures", "flops,saved_bytes", "--json"]) == 0
    (net,) = json.loads(capsys.readouterr().out)
    assert [each["operators"] for each in net["inexact"]] == [["LSTM"], ["Dropout"]]
    assert all(each["figures"] == ["saved_bytes"] for each in net["inexact"])
