"""Who holds the memory: parts add up to the figure of the whole model, and to what PyTorch's modules make."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.memory.holders import Held
from nnspec.analysis.memory.ledger import Owned, Owner, by_owner
from nnspec.analysis.setting import Setting
from nnspec.analysis.summary import SummaryTree, summary
from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import dim, symbol, total
from nnspec.ir.graph import dotted
from nnspec.source import Source
from tests.analysis.test_truth_memory import CHECKPOINTED
from tests.ir.models import program

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PEAKS = [each.name for each in FIGURES.values() if each.at_sizes]
MODELS = (
    ("vision/resnet.nns", "ResNet18"),
    ("vision/unet.nns", "UNet64"),
    ("vision/swin.nns", "SwinT"),
    ("language/gpt2.nns", "GPT2Small"),
    ("language/t5.nns", "T5Small"),
    ("sequence/encoders.nns", "BiLSTMEncoder"),
    ("sequence/encoders.nns", "GRUEncoder"),
    ("generative/autoencoder.nns", "Autoencoder"),
)
SETTINGS = (
    Setting(),
    Setting.named(optimizer="sgd", attention="materialised"),
    Setting.named(policy="mixed_bf16", optimizer="adafactor", dropout="off"),
    Setting.named(policy="int8"),
)
SHARED = """
block Half(x: [B, T, 8]) { return x -> a: Linear(16) -> gelu -> b: Linear(8) -> sigmoid }
model Shared {
  input x: [B, T, 8]
  half = Half()
  z = x -> half
  output y = half(z) + z
  output mean = z -> mean(dim=1)
}
"""


def analysed(path: str, name: str, setting: Setting) -> Analysis:
    return Analysis(nnspec.load(str(ROOT / "specs" / path), name).program, setting)


def of_texts(setting: Setting) -> Iterator[Analysis]:
    yield Analysis(program(SHARED), setting)
    for spec in load_source(Source("checkpointed", CHECKPOINTED), None, {}):
        yield Analysis(spec.program, setting)


def levels(tree: SummaryTree) -> Iterator[SummaryTree]:
    """Every row that has rows below it."""
    if tree.children:
        yield tree
        for child in tree.children:
            yield from levels(child)


def drawn(analysis: Analysis, chance: random.Random) -> dict[str, int]:
    """Some size for each symbol."""
    multiples = analysis.program.assumptions.multiples
    bounds = analysis.program.assumptions.bounds
    found: dict[str, int] = {}
    for name in analysis.program.symbols:
        factor = multiples.get(name, 1)
        size = factor * chance.randint(1, 5)
        low, high = bounds.get(name, (1, None))
        found[name] = max(low, min(size, high or size) // factor * factor)
    return found


def check(analysis: Analysis, chance: random.Random) -> None:
    tree = summary(
        analysis.program, figures=["saved_bytes"], analysis=analysis, everything=True
    )
    assert dim(tree.figures["saved_bytes"]) == analysis.figure("saved_bytes")
    for row in levels(tree):
        below = total(dim(each.figures["saved_bytes"]) for each in row.children)
        assert below == row.figures["saved_bytes"]
    for name in PEAKS:
        sizes = drawn(analysis, chance)
        held = analysis.parts(name, sizes)
        assert isinstance(held, Held)
        whole = int(analysis.at(name, sizes).value)
        assert int(held.total()) == whole
        tree = summary(
            analysis.program,
            sizes,
            figures=[name],
            analysis=analysis,
            everything=True,
        )
        top = total(each.figures[name] for each in tree.children)
        assert top + total(held.rest.values()) == whole
        for row in levels(tree):
            amounts = [int(each.figures[name]) for each in row.children]
            assert min(amounts) >= 0
            assert row is tree or sum(amounts) == row.figures[name]


@pytest.mark.parametrize(("path", "name"), MODELS)
def test_parts_add_up_to_the_whole(path: str, name: str) -> None:
    chance = random.Random(path)
    for setting in SETTINGS:
        check(analysed(path, name, setting), chance)


@pytest.mark.parametrize("setting", SETTINGS)
def test_parts_of_shared_and_checkpointed_blocks_add_up(setting: Setting) -> None:
    for analysis in of_texts(setting):
        check(analysis, random.Random(1))


def test_what_depends_on_sizes_is_refused_without_them() -> None:
    analysis = analysed("language/gpt2.nns", "GPT2Small", Setting())
    with pytest.raises(SpecError, match="depends on T"):
        analysis.parts("train_peak", {"B": 1})


def test_sums_of_sums_are_gone_through_once() -> None:
    one, other = (Owned(dim(size), Owner((place,))) for place, size in ((1, 3), (2, 5)))
    amount = dim(0) + one
    for _ in range(200):  # 2 ** 200 ways lead to the first
        amount = amount + amount - one + other
    found = by_owner(amount)
    assert total(found.values()) == amount
    assert found[Owner((1,))] == 3
    assert by_owner(one - one) == {}
    lengths = Owned(symbol("T") * 4, Owner((7,)))
    assert by_owner(10 - lengths) == {Owner((7,)): symbol("T") * -4}


# ---- against PyTorch --------------------------------------------------------------------------------


def made_and_saved(spec: Any, sizes: dict[str, int]) -> dict[str, int]:
    """The bytes of what autograd keeps, by the innermost module in whose forward pass they were made."""
    import torch
    from torch._subclasses import FakeTensorMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    running: list[str] = [""]
    makers: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    class Makers(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            for each in tree_leaves(result):
                if isinstance(each, torch.Tensor):
                    makers.setdefault(each.untyped_storage(), running[-1])
            return result

    found: dict[str, int] = {}
    with FakeTensorMode():
        model, inputs = measured.built(spec), inputs_of(spec, sizes)
        model.train()
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: running.append(name))
            module.register_forward_hook(lambda *_: (running.pop(), None)[1])
        kept: list[Any] = []
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: (kept.append(tensor.untyped_storage()), tensor)[1],
            lambda tensor: tensor,
        )
        with Makers(), hooks:
            result = model(*inputs)
        outside = measured.storages([*measured.state_of(model), *inputs])
        for storage in {each._cdata: each for each in kept}.values():
            if storage._cdata not in outside:
                name = makers[storage]
                found[name] = found.get(name, 0) + storage.nbytes()
        del result
    return found


@pytest.mark.framework
@pytest.mark.parametrize(
    ("path", "name", "sizes"),
    [
        ("vision/resnet.nns", "ResNet18", {"B": 2, "H": 64, "W": 96}),
        ("language/gpt2.nns", "GPT2Small", {"B": 2, "T": 24}),
        ("vision/unet.nns", "UNet64", {"B": 1, "H": 64, "W": 64}),
        ("language/bert.nns", None, {"B": 2, "T": 24}),
    ],
)
def test_layers_have_what_their_modules_make(
    path: str, name: str | None, sizes: dict[str, int]
) -> None:
    specs = nnspec.load_all(str(ROOT / "specs" / path))
    spec = next(each for each in specs if name in (None, each.name))
    sizes = {**dict.fromkeys(spec.program.symbols, 1), **sizes}
    sizes = {each: sizes[each] for each in spec.program.symbols if each in sizes}
    truth = made_and_saved(spec, sizes)
    analysis = Analysis(spec.program)
    parts = analysis.parts("saved_bytes")
    main = analysis.uses.inside(analysis.uses.main)
    compared = 0
    for site in main.sites:
        ours = int(parts.of_part(site, ()).at(sizes))
        if not site.node.owns:
            continue
        label = dotted(site.node.path)
        inside = [
            v for k, v in truth.items() if k == label or k.startswith(f"{label}.")
        ]
        assert ours == sum(inside), label
        compared += ours
    assert compared > 0
    assert sum(truth.values()) == int(analysis.figure("saved_bytes").at(sizes))
