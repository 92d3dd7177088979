"""Which models of a file are meant: one by its name, or all that can be made with what is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nnspec.diagnostics import SpecError, SpecErrors, did_you_mean
from nnspec.ir.values import Declared, Module
from nnspec.syntax import ast

# So many models are named in one message.
_MOST_NAMED = 20


def entries(
    module: Module, names: Sequence[str] | None, given: Collection[str]
) -> list[Declared]:
    """Models and variants by name, or all that need no constant beside those that are given.

    A model that variants are made of is none of all. Raises `SpecErrors` for a name that is none.
    """
    own = _declared(module)
    if names is None:
        return [each for each in _of_their_own(own) if not _missing(each, given)]
    for name in names:
        if name not in own:
            hint = (
                did_you_mean(name, own) or f"it holds: {', '.join(own) or 'no model'}"
            )
            file = module.file.source.name
            raise no_single(f"{file} holds no model named `{name}`", hint)
    return [own[name] for name in names]


def none_complete(module: Module, given: Collection[str]) -> SpecErrors:
    """What to say of a file none of whose models can be made with what is given."""
    file, own = module.file.source.name, _of_their_own(_declared(module))
    if not own:
        return no_single(
            f"{file} holds no model", "a model is written `model Name { ... }`"
        )
    needs = [(each.node.name, _missing(each, given)) for each in own]
    listed = "; ".join(
        f"`{name}` needs {' and '.join(f'`{each}`' for each in missing)}"
        for name, missing in needs[:_MOST_NAMED]
    )
    values = " ".join(f"{each}=..." for each in needs[0][1])
    return no_single(
        f"{file} holds no model that can be made without constants",
        f"give them, as in `{values}`: {listed}",
    )


def several(place: str, names: Sequence[str]) -> SpecErrors:
    """What to say where a file or folder has more than the one model that is asked for."""
    listed, file = ", ".join(names[:_MOST_NAMED]), place.rpartition("/")[2]
    if not file.endswith(".nns"):  # a folder
        file = "file.nns"
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return no_single(
        f"{place} holds {len(names)} models ({listed}{more})",
        f"name one of them, as in `{file}:{names[0]}`",
    )


def no_single(message: str, hint: str) -> SpecErrors:
    """No single model is meant."""
    return SpecErrors([SpecError("E0704", message, hint=hint).diagnostic])


def _declared(module: Module) -> dict[str, Declared]:
    return {
        name: declared
        for name, declared in module.names.items()
        if declared.module is module
        and isinstance(declared.node, ast.Model | ast.Variant)
    }


def _of_their_own(own: dict[str, Declared]) -> list[Declared]:
    """Those that are no models which variants are made of."""
    named = {d.node.model for d in own.values() if isinstance(d.node, ast.Variant)}
    used = {n for n in named if n in own and isinstance(own[n].node, ast.Model)}
    return [each for name, each in own.items() if name not in used]


def _missing(declared: Declared, given: Collection[str]) -> list[str]:
    """The constants that a model still needs; a variant gives them."""
    if not isinstance(declared.node, ast.Model):
        return []
    return [
        parameter.name
        for parameter in declared.node.parameters
        if parameter.default is None and parameter.name not in given
    ]
