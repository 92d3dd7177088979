"""Pages that need nothing but a browser: the foldable architecture, and the report of what it costs.

Everything is in the file. A content security policy allows the scripts and styles in it by their hashes and
nothing else, so that no text of a spec can run and nothing can be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from nnspec.ir.graph import Path
from nnspec.picture import faces, geometry
from nnspec.picture.cards import Family
from nnspec.picture.draw import BADGE, BEND, MARGIN, ROUND, TIP, card, tooltip
from nnspec.picture.faces import Face, face
from nnspec.picture.letters import plain, shortened
from nnspec.picture.outline import Card, Level, Outline
from nnspec.picture.plan import Plan, plan
from nnspec.picture.scene import heading_width
from nnspec.picture.style import sheet
from nnspec.picture.svg import escaped


def graph_page(outline: Outline, opened: frozenset[Path], name: str) -> str:
    """The architecture as a page in which blocks open and fold with a click."""
    places = {key: place for place, key in enumerate(outline.levels)}
    panels = [
        {
            "level": places[key],
            "inside": [places[c.inside] if c.inside else -1 for c in level.cards],
        }
        for key, level in outline.levels.items()
    ]
    data = {
        "name": plain(name),
        "panels": panels,
        "top": places[outline.top],
        "opened": positions(outline, opened),
        **drawing(outline),
    }
    scripts = [
        data_script(data),
        asset("geometry.js"),
        asset("view.js"),
        asset("graph.js"),
    ]
    return page(name, asset("graph.html"), scripts)


def drawing(outline: Outline) -> dict[str, Any]:
    """All levels and the lengths that the layout needs, for `geometry.js` and `view.js`."""
    levels = [_level(plan(level)) for level in outline.levels.values()]
    lengths = {
        "columnGap": geometry.COLUMN_GAP,
        "joint": geometry.JOINT,
        "labelZone": geometry.LABEL_ZONE,
        "bareZone": geometry.BARE_ZONE,
        "entry": geometry.ENTRY,
        "track": geometry.TRACK,
        "inletStep": geometry.INLET_STEP,
        "corner": geometry.CORNER,
        "straight": geometry.STRAIGHT,
        "apart": geometry.APART,
        "frameInset": faces.FRAME_INSET,
        "frameTop": faces.FRAME_TOP,
        "frameBottom": faces.FRAME_BOTTOM,
        "shape": faces.SHAPE,
        "margin": MARGIN,
        "round": ROUND,
        "badge": BADGE,
        "tip": TIP,
        "bend": BEND,
    }
    return {"levels": levels, "lengths": lengths}


def positions(outline: Outline, opened: Iterable[Path]) -> list[str]:
    """Open blocks as the page names them: places of cards from the outside in, `5.2`."""
    wanted = set(opened)
    found: list[str] = []
    waiting: list[tuple[str, Path, str]] = [(outline.top, (), "")]
    while waiting:
        key, prefix, name = waiting.pop()
        for place, each in enumerate(outline.levels[key].cards):
            path, own = (*prefix, *each.path), f"{name}{place}"
            is_loop = each.family is Family.LOOP
            if each.inside is None or not (is_loop or path in wanted):
                continue
            if not is_loop:
                found.append(own)
            waiting.append((each.inside, path, f"{own}."))
    return sorted(found)


# ---- levels -----------------------------------------------------------------------------------------


def _level(plan: Plan) -> dict[str, Any]:
    bones, level = plan.skeleton, plan.level
    cards = [
        _card(each, face(each, labels), labels)
        for each, labels in zip(level.cards, plan.labels, strict=True)
    ]
    return {
        "cards": cards,
        "types": _types(level),
        "ends": [[wire.source, wire.target] for wire in level.wires],
        "layers": bones.layers,
        "columns": bones.columns,
        "right": bones.right,
        "left": bones.left,
        "segments": [[s.upper, s.lower, s.wire] for s in bones.segments],
        "outlets": plan.outlets,
        "inlets": plan.inlets,
        "leftOf": plan.left,
        "rightOf": plan.right,
        "gaps": plan.gaps,
        "runs": bones.runs,
    }


def _types(level: Level) -> list[str]:
    return [
        str(level.cards[wire.source].outlets[wire.outlet].type) for wire in level.wires
    ]


def _card(each: Card, look: Face, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "family": each.family.value,
        "name": plain(each.name),
        "label": faces.caption(each),
        "count": each.count,
        "width": look.width,
        "height": look.height,
        "reach": look.reach,
        "round": look.round,
        "outlets": look.outlets,
        "labels": [shortened(plain(label)) for label in labels],
        "heading": look.heading,
        "headingWidth": heading_width(look),
        "tip": tooltip(each),
        "svg": card(each, look, labels),
    }


# ---- pages ------------------------------------------------------------------------------------------


def asset(name: str) -> str:
    """A part of a page that is the same for every model."""
    return (files("nnspec.picture") / "assets" / name).read_text(encoding="utf-8")


def data_script(data: Mapping[str, Any]) -> str:
    """`const data = ...;` in which no text can end the script."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    harmless = (
        text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )
    return f"const data = {harmless};\n"


def page(name: str, body: str, scripts: Sequence[str]) -> str:
    """A page around a body. `body`, `scripts` and styles are ours; `name` is text of a spec."""
    script = '"use strict";\n' + "\n".join(scripts)
    style = sheet() + asset("page.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        "<!doctype html>\n<!-- Generated by nnspec -->\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escaped(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(name)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
