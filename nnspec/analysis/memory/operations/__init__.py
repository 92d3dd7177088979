"""What PyTorch's operations do in memory, by the names that emitted programs call them by.

A rule takes the machine, and then what the operation takes; it gives what the operation gives. An
operation that has no rule is an error for whoever asks (`NoRule`), never free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnspec.analysis.memory.operations.attention import ATTENTION
from nnspec.analysis.memory.operations.creation import CREATION
from nnspec.analysis.memory.operations.layers import FUNCTIONS, LAYERS
from nnspec.analysis.memory.operations.pointwise import POINTWISE
from nnspec.analysis.memory.operations.products import PRODUCTS
from nnspec.analysis.memory.operations.recurrent import RECURRENT
from nnspec.analysis.memory.operations.reductions import REDUCTIONS
from nnspec.analysis.memory.operations.views import VIEWS

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **POINTWISE,
    **VIEWS,
    **REDUCTIONS,
    **PRODUCTS,
    **CREATION,
    **FUNCTIONS,
    **LAYERS,
    **ATTENTION,
    **RECURRENT,
}
