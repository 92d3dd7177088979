"""Helper functions that emitted PyTorch files define when they need them. Read as text, never imported."""

# ruff: noqa: F401, N812 -- every helper may use the standard imports of an emitted file
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
