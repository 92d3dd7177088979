"""`nnspec devices`: the catalogue, and what is known of one device and from whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import json_option, spec_errors_reported

if TYPE_CHECKING:
    from nnspec.analysis.timing.device import Device


@click.command()
@click.argument("name", required=False)
@json_option
def devices(name: str | None, as_json: bool) -> int:
    """List the devices, or show the figures of one and their sources.

    Your own lie in the folder that is printed below the list, or anywhere else and are
    named by their path.

    \b
    Examples:
      nnspec devices
      nnspec devices h100
      nnspec devices ./my.toml
    """
    from nnspec.analysis.timing.device import device_names, load_device
    from nnspec.cli.render import write, write_json

    with spec_errors_reported(as_json):
        names = [name] if name is not None else device_names()
        found = [load_device(each) for each in names]
    if as_json:
        objects = [_object(each) for each in found]
        write_json(objects[0] if name is not None else objects)
    else:
        write(_page(found[0]) if name is not None else _list(found))
    return 0


def _object(device: Device) -> dict[str, Any]:
    """A device with its figures in base units (bytes, bytes/s, FLOP/s, seconds, watts)."""
    return {
        "name": device.name,
        "title": device.title,
        "file": str(device.path),
        "figures": {
            name: {
                "value": _number(stated.value),
                "text": stated.text,
                "source": device.sources.get(stated.source, stated.source),
            }
            for name, stated in device.stated().items()
        },
    }


def _number(value: Any) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _list(found: list[Device]) -> str:
    from nnspec.analysis.timing.device import user_folder
    from nnspec.cli.render import table
    from nnspec.cli.shown.text import visible

    headings = ("device", "what it is", "memory", "bandwidth", "fp32", "bf16", "power")
    names = ("memory", "bandwidth", "peak.fp32", "peak.bf16", "power")
    rows: list[list[str]] = []
    for device in found:
        stated = device.stated()
        texts = [stated[name].text if name in stated else "-" for name in names]
        rows.append([device.name, device.title, *texts])
    drawn = table(headings, rows, numeric=(2, 3, 4, 5, 6))
    return f"{drawn}\nyour own: {visible(str(user_folder()))}\n"


def _page(device: Device) -> str:
    from textwrap import fill

    from nnspec.cli.render import table
    from nnspec.cli.shown.text import visible
    from nnspec.cli.shown.wrapping import line_width

    rows = [[name, each.text, each.source] for name, each in device.stated().items()]
    heading = f"{visible(device.name)}: {visible(device.title)}"
    sources = [
        fill(
            visible(f"{name}: {text}"),
            width=min(96, line_width()),
            subsequent_indent="  ",
        )
        for name, text in device.sources.items()
    ]
    drawn = table(("figure", "value", "source"), rows, numeric=(1,))
    return "\n".join([heading, "", drawn, *sources, ""])
