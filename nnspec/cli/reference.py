"""`nnspec ops` and `nnspec explain`: the manual, from the code that it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from nnspec.cli.arguments import json_option

if TYPE_CHECKING:
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

    if name not in OPS:
        hint = did_you_mean(name, OPS) or "`nnspec ops` lists all"
        raise click.UsageError(f"there is no operator `{name}`: {hint}")
    operator = OPS[name]
    manual = getdoc(operator) or ""
    inputs = [_input(operator, each) for each in operator.inputs]
    arguments = {
        field: None if info.is_required() else _spelled(info.get_default())
        for field, info in operator.model_fields.items()
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
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
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
    from nnspec.diagnostics import CODES, did_you_mean

    if code is None:
        if as_json:
            write_json([{"code": c, "title": title} for c, title in CODES.items()])
        else:
            write(table(("code", "meaning"), list(CODES.items())))
        return 0
    wanted = code.upper()
    if wanted not in CODES:
        hint = did_you_mean(wanted, CODES) or "`nnspec explain` lists all"
        raise click.UsageError(f"there is no code `{code}`: {hint}")
    page = _explanation(wanted)
    if as_json:
        write_json({"code": wanted, "title": CODES[wanted], "explanation": page})
    else:
        write(f"{wanted}: {CODES[wanted]}\n" + (f"\n{page}" if page else ""))
    return 0


def _explanation(code: str) -> str:
    """The page of a code, `nnspec/codes/E0401.md`; empty where the title says it all."""
    from importlib.resources import files

    page = files("nnspec").joinpath("codes", f"{code}.md")
    return page.read_text(encoding="utf-8") if page.is_file() else ""
