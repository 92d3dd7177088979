"""Names of the spec as names of a target: what Python or a framework reserves gets a trailing `_`."""

# Tables of words read best as text.
# ruff: noqa: SIM905

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache

from nnspec.ops.base import snake_case
from nnspec.records import dataclass

# Attributes of the base classes that an attribute of the same name would replace or break.
_MODULE = frozenset(
    """
    T_destination add_module apply bfloat16 bias buffers call_super_init children compile cpu cuda device double
    dtype dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule half ipu load_state_dict modules mtia named_buffers named_children named_modules
    named_parameters parameters register_backward_hook register_buffer register_forward_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    reset_parameters set_extra_state set_submodule share_memory state_dict to to_empty train training
    type xpu zero_grad options
    """.split()
) - {"bias"}
_LAYER = frozenset(
    """
    activity_regularizer add_loss add_metric add_weight autocast build build_from_config built call
    compiled compile compile_config compile_from_config compiled_loss compiled_metrics
    compute_dtype compute_loss compute_mask compute_metrics compute_output_shape compute_output_spec
    count_params distribute_reduction_method distribute_strategy dtype dtype_policy evaluate export fit
    from_config get_build_config get_compile_config get_config get_layer get_metrics_result
    get_quantization_layer_structure get_state_tree get_weights input input_dtype input_shape
    input_spec inputs jit_compile layers load_own_variables load_weights loss losses make_predict_function
    make_test_function make_train_function metrics metrics_names metrics_variables name
    non_trainable_variables non_trainable_weights optimizer output output_shape outputs path predict
    predict_function predict_on_batch predict_step quantization_mode quantize quantized_build
    quantized_call recompute remat_mode rematerialized_call reset_metrics run_eagerly save save_own_variables
    save_weights set_state_tree set_weights stateless_call stateless_compute_loss steps_per_execution
    stop_evaluating stop_predicting stop_training summary supports_jit supports_masking
    symbolic_call test_function test_on_batch test_step to_json train_function train_on_batch
    train_step trainable trainable_variables trainable_weights variable_dtype variables weights
    with_name_scope state_updates stateful arguments argument_names sublayers options
    """.split()
)
_FILE = {
    "torch": frozenset(
        "torch F Tensor nn checkpoint math self device dtype options annotations Sequence".split()
    ),
    "keras": frozenset(
        "keras ops layers initializers math self options annotations Sequence training "
        "recompute recomputing".split()
    ),
}
_BUILTINS = frozenset(
    """
    abs all any bool dict enumerate float int isinstance iter len list max min next object property range str
    sum super tuple zip ValueError print input type
    """.split()
)


def _reserved(name: str) -> bool:
    return keyword.iskeyword(name) or name in (
        "_",
        "print",
        "exec",
        "eval",
        "match",
        "case",
        "type",
    )


def _mended(name: str) -> str:
    """The name without leading `_`, which mean privacy, and with one behind."""
    stem = name.lstrip("_")
    return f"{stem}_" if stem[:1].isalpha() else f"value{stem}_"


def safe_name(name: str, target: str) -> str:
    """An attribute's or module's name in a target."""
    owned = _MODULE if target == "torch" else _LAYER
    unsafe = _reserved(name) or name in owned or name.startswith(("__", "_"))
    return _mended(name) if unsafe else name


def safe_local(name: str, target: str) -> str:
    """A variable's, parameter's, function's or class's name in a target's file."""
    taken = name in _FILE[target] or name in _BUILTINS or name in helper_texts(target)
    unsafe = _reserved(name) or taken or name.startswith("_")
    return _mended(name) if unsafe else name


def function_name(model: str) -> str:
    """What makes a model is named after it: `ResNet` -> `resnet`, `GoogLeNet` -> `googlenet`.

    `Net` belongs to the word before it, and so does a syllable of two letters between them.
    """
    joined = re.sub(r"(?<=[a-z])[A-Z][a-z]Net", lambda found: found[0].lower(), model)
    return snake_case(joined).replace("_net", "net")


@cache
def helper_texts(target: str) -> Mapping[str, str]:
    """A target's helper functions and classes by name, which emitted files carry as they need them."""
    path = os.path.join(os.path.dirname(__file__), f"helpers_{target}.py")
    with open(path, encoding="utf-8") as file:
        parts = file.read().split("\n\n\n")  # the formatter's, between definitions
    named = [(re.search(r"^(?:def|class) (\w+)", p, re.MULTILINE), p) for p in parts]
    return {found[1]: part.rstrip() for found, part in named if found}


@dataclass
class Names:
    """Hands out names that are free: what was asked for, or that with a number behind it.

    The variables of the spec get their names (`spoken`) where they are written first; no layer or size gets these.
    """

    target: str
    taken: set[str] = field(default_factory=set[str])
    spoken: set[str] = field(default_factory=set[str])
    # Of what was asked for, the number that was found last, and by name, with which numbers it was not free.
    _found: dict[tuple[str, bool], int] = field(
        default_factory=dict[tuple[str, bool], int]
    )
    _passed: dict[str, dict[tuple[str, bool], int]] = field(
        default_factory=dict[str, dict[tuple[str, bool], int]]
    )

    def speak(self, names: Iterable[str]) -> None:
        """Keeps the names of the spec's variables for these."""
        self.spoken |= {safe_local(name, self.target) for name in names}

    def free(self, wanted: str, *, of_value: bool = False) -> str:
        """A name that nobody else has; for what a variable of the spec holds it may be that of another one."""
        name = safe_local(wanted, self.target)
        stem = name.rstrip("_")
        joint = "" if wanted[:1].isupper() and not stem[-1:].isdigit() else "_"
        asked = wanted, of_value
        number = self._found.get(asked, 1)
        if number > 1:
            name = f"{stem}{joint}{number}"
        while name in self.taken or (name in self.spoken and not of_value):
            self._passed.setdefault(name, {}).setdefault(asked, number)
            number += 1
            name = f"{stem}{joint}{number}"
        self._found[asked] = number
        self.taken.add(name)
        return name

    def give_back(self, name: str) -> None:
        """Frees a name again."""
        self.taken.discard(name)
        for asked, number in self._passed.pop(name, {}).items():
            self._found[asked] = min(self._found[asked], number)


# What the letters that papers use for sizes stand for.
SIZE_NAMES = {
    "B": "batch",
    "C": "channels",
    "D": "width",
    "E": "width",
    "H": "height",
    "W": "breadth",
    "T": "time",
    "S": "length",
    "L": "length",
    "N": "count",
    "F": "features",
    "d": "head_width",
    "K": "kinds",
}


def size_name(symbol: str) -> str:
    """A variable for a size of the spec, by its letter."""
    if "@" in symbol:
        name, _, axis = symbol.partition("@")
        return f"{name.replace('.', '_')}_size_{axis}"
    return SIZE_NAMES.get(symbol, symbol.lower() if symbol.isupper() else symbol)
