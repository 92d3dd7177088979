"""`nnspec ops` and `nnspec explain`: the manual, from the code that it describes."""

from __future__ import annotations

from dataclasses import asdict
from textwrap import fill, indent
from typing import TYPE_CHECKING, cast

import click

from nnspec.cli.arguments import json_option

if TYPE_CHECKING:
    from nnspec.codes.explanation import Explanation
    from nnspec.ops.base import Operator


@click.command()
@click.argument("name", required=False)
@json_option
def ops(name: str | None, as_json: bool) -> int:
    """List the operators, or show the manual page of one.

    \b
    Examples:
      nnspec ops
      nnspec ops Conv
    """
    from nnspec.cli.render import table, write, write_json
    from nnspec.ops import OPS

    if name is not None:
        return _page(name, as_json)
    summaries = {each: _summary(OPS[each]) for each in sorted(OPS, key=str.lower)}
    if as_json:
        write_json([{"name": n, "summary": text} for n, text in summaries.items()])
    else:
        write(table(("operator", "what it does"), list(summaries.items())))
    return 0


def _summary(operator: type[Operator]) -> str:
    return (operator.__doc__ or "").strip().split("\n", 1)[0].rstrip(".")


def _page(name: str, as_json: bool) -> int:
    """The manual page: the docstring, the tensor inputs, the arguments."""
    from inspect import getdoc

    from nnspec.cli.render import write, write_json
    from nnspec.diagnostics import did_you_mean
    from nnspec.ops import OPS
    from nnspec.ops.checked import fields_of

    if name not in OPS:
        hint = did_you_mean(name, OPS) or "`nnspec ops` lists all"
        raise click.UsageError(f"there is no operator `{name}`: {hint}")
    operator = OPS[name]
    manual = getdoc(operator) or ""
    inputs = [_input(operator, each) for each in operator.inputs]
    inputs_of = operator.inputs  # a constant in the place of one is told by the manual
    arguments = {
        field: None if info.is_required else _spelled(info.unless_given())
        for field, info in fields_of(operator).items()
        if field != operator.open and field.removesuffix("_value") not in inputs_of
    }
    if as_json:
        page = {"inputs": inputs, "arguments": arguments, "manual": manual}
        write_json({"name": name, **page})
        return 0
    listed = ", ".join(
        field if default is None else f"{field}={default}"
        for field, default in arguments.items()
    )
    write(f"{name}({listed})\n")
    write(f"inputs: {', '.join(inputs) or 'none'}\n\n{manual}\n")
    return 0


def _input(operator: type[Operator], name: str) -> str:
    if name in operator.listed:
        return f"{name} (a list)"
    return f"{name} (optional)" if name in operator.optional else name


def _spelled(value: object) -> str:
    """A default as a spec would say it."""
    from nnspec.ops.initializers import ZEROS

    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if value == ZEROS:
        return "init.zeros"
    if isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        return f"[{', '.join(map(_spelled, items))}]"
    return str(value)


@click.command()
@click.argument("code", required=False)
@json_option
def explain(code: str | None, as_json: bool) -> int:
    """Say what a diagnostic's code means; without a code, list them all.

    \b
    Examples:
      nnspec explain E0401
      nnspec explain
    """
    from nnspec.cli.render import table, write, write_json
    from nnspec.codes import explanations
    from nnspec.diagnostics import did_you_mean

    known = explanations()
    if code is None:
        titles = [(each.code, each.title) for each in known.values()]
        if as_json:
            write_json([{"code": each, "title": title} for each, title in titles])
        else:
            write(table(("code", "meaning"), titles))
        return 0
    wanted = code.upper()
    if wanted not in known:
        hint = did_you_mean(wanted, known) or "`nnspec explain` lists all"
        raise click.UsageError(f"there is no code `{code}`: {hint}")
    found = known[wanted]
    if as_json:
        write_json(asdict(found))
    else:
        write(_explanation(found))
    return 0


def _explanation(found: Explanation) -> str:
    """The page of a code: its meaning, a spec that gives it, and the spec mended."""
    parts = [f"{found.code}: {found.title}\n", f"{fill(found.explanation, 88)}\n"]
    if found.wrong:
        parts.append(f"wrong:\n\n{indent(_shown(found.wrong), '  ')}")
    if found.right:
        parts.append(f"right:\n\n{indent(_shown(found.right), '  ')}")
    return "\n".join(parts)


def _shown(spec: str) -> str:
    from nnspec.cli.shown.text import visible

    return "".join(f"{visible(line)}\n" for line in spec.rstrip("\n").split("\n"))
