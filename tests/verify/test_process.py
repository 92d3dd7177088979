"""Worker processes: what they answer, what they may use, and how they end."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.verify.exchange import Failed, Program
from nnspec.verify.process import Worker

pytestmark = pytest.mark.framework

EMPTY = """
import torch
from torch import nn


class Slow(nn.Module):
    def forward(self, x):
        {body}
        return x


def make(**options):
    return Slow()
"""


def ask(worker: Worker, body: str, seconds: float = 60) -> list[np.ndarray]:
    program = Program(EMPTY.format(body=body), "make")
    x = np.ones((2, 3))
    worker.ask("build", program=program, floats="float64", inputs=[x])
    return worker.ask("evaluate", seconds, inputs=[x]).outputs


@pytest.fixture
def worker():
    made = Worker("pytorch")
    yield made
    made.close()


def test_it_answers_and_goes_on_after_an_error(worker: Worker) -> None:
    with pytest.raises(Failed, match="ZeroDivisionError") as caught:
        ask(worker, "1 // 0")
    assert "in forward: 1 // 0" in str(caught.value)
    (output,) = ask(worker, "print('noise')")
    np.testing.assert_array_equal(output, np.ones((2, 3)))


def test_it_is_ended_when_it_does_not_answer(worker: Worker) -> None:
    with pytest.raises(Failed, match="did not answer in time"):
        ask(worker, "while True: pass", seconds=1)
    assert not worker.alive
    with pytest.raises(Failed, match="is gone"):
        ask(worker, "pass")


def test_memory_is_bounded(worker: Worker) -> None:
    with pytest.raises(Failed, match=r"memory|Memory|alloc"):
        ask(worker, "torch.ones(1 << 45)")
