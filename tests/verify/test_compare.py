"""How errors are measured and told."""

from __future__ import annotations

import re
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from nnspec.ops import OPS
from nnspec.verify.compare import error, tolerance, worst
from nnspec.verify.measured import MEASURED
from nnspec.verify.orders import to_logical, to_physical
from nnspec.verify.report import Check, VerifyReport
from tests.verify.specs import model, spec_of


def test_errors_are_relative_to_the_largest_element() -> None:
    assert error(np.array([1.0, 101.0]), np.array([1.0, 100.0])) == pytest.approx(0.01)
    assert error(np.zeros(3), np.zeros(3)) == 0
    assert error(np.zeros((0, 2)), np.zeros((0, 2))) == 0


def test_what_is_truly_zero_is_measured_by_the_others_of_its_kind() -> None:
    tiny = np.array([1e-20])
    assert error(tiny, np.zeros(1), scale=1.0) == pytest.approx(1e-14)
    measured, name = worst(
        {"a": np.array([1.0]), "b": tiny}, {"a": np.array([1.0]), "b": np.zeros(1)}
    )
    assert name == "b"
    assert measured < 1e-9


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros(2, "int64")),
        (np.array([nan, 1.0]), np.array([1.0, 1.0])),
        (np.array([inf, 1.0]), np.array([-inf, 1.0])),
        (np.array([nan]), np.array([nan])),
    ],
)
def test_what_cannot_be_measured_is_infinitely_wrong(
    found: np.ndarray, wanted: np.ndarray
) -> None:
    assert error(found, wanted) == inf


def test_infinities_in_the_same_places_agree() -> None:
    values = np.array([inf, -inf, 2.0])
    assert error(values.copy(), values) == 0


def test_exceptions_hold_for_their_operator_backend_and_kind_alone() -> None:
    celu = spec_of(model("x: [B, 3]", "output y = celu(x)")).program
    relu = spec_of(model("x: [B, 3]", "output y = relu(x)")).program
    assert tolerance(celu, "jax", "gradient") == 1e-7
    exact = {
        tolerance(celu, "jax", "output"),
        tolerance(celu, "torch", "gradient"),
        tolerance(relu, "jax", "gradient"),
    }
    assert exact == {1e-9}


def test_the_exceptions_are_few_small_and_documented() -> None:
    page = Path("docs/verify.md").read_text()
    for entry in MEASURED:
        assert 1e-9 < entry.alone <= entry.within <= 1e-6
        assert entry.operator in OPS
        row = rf"\| `{entry.operator}` \| .*{entry.backend}.* \| .*{entry.kind}.* \|"
        assert re.search(row, page), entry
    assert len({entry.operator for entry in MEASURED}) <= 4


def test_axes_go_there_and_back() -> None:
    image = np.arange(120).reshape(2, 3, 4, 5)
    moved = to_physical(image, (0, 2, 3, 1))
    assert moved.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(to_logical(moved, (0, 2, 3, 1)), image)


def test_a_report_tells_every_failure_and_the_worst_of_the_rest() -> None:
    backend = "Keras on tensorflow"
    checks = (
        Check("outputs in evaluation", backend, "B=2", 1e-12, 1e-9),
        Check(
            "outputs in evaluation",
            backend,
            "B=3",
            0.25,
            1e-9,
            "the output `y`\nfirst in `a.b`",
        ),
        Check("gradients", backend, "B=2", inf, 1e-9, "only one program has `w`"),
        Check("outputs in evaluation, float32", backend, "B=2", 0.5, 1.0),
    )
    report = VerifyReport("M", 12, checks)
    assert not report.ok
    assert report.max_error == 0.25
    assert [check.sizes for check in report.failures] == ["B=3", "B=2"]
    text = report.text()
    assert "at B=3: the output `y`\n      first in `a.b`\n" in text
    assert "no figure of 1e-09 FAILED" in text
    assert not VerifyReport("M", 0, ()).ok
