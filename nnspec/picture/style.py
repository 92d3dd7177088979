"""Colours and letters of pictures, for light and dark grounds."""

from __future__ import annotations

from nnspec.picture.letters import MONO, SANS

FAMILIES = {
    "block": ("#eef2ff", "#8098f9", "#1d2547", "#5a6fd8"),
    "layer": ("#eff8ff", "#7cc4f8", "#13293f", "#3b82bd"),
    "product": ("#fff7e8", "#f0b457", "#33270f", "#b9852f"),
    "spatial": ("#ecfdf3", "#6ecf9c", "#11302a", "#3b9a70"),
    "norm": ("#f7f8fa", "#cbd1db", "#1d212b", "#475061"),
    "plain": ("#f7f8fa", "#cbd1db", "#1d212b", "#475061"),
    "weight": ("#ffffff", "#98a2b3", "#12151c", "#667085"),
    "input": ("#ffffff", "#667085", "#12151c", "#98a2b3"),
    "output": ("#ffffff", "#667085", "#12151c", "#98a2b3"),
    "loop": ("#fbfbfd", "#a3acbb", "#161a22", "#596275"),
}
"""By family: fill and outline on a light ground, fill and outline on a dark one."""

_BASE = f"""
.ground{{fill:#ffffff}}
text{{font-family:{SANS};fill:#1c2330;text-anchor:middle}}
.title{{font-size:12.5px;font-weight:600}}
.detail,.follower{{font-size:11px;font-weight:400;fill:#566072}}
.caption,.shape{{font-family:{MONO};font-size:10.5px;fill:#667085}}
.shape{{text-anchor:start}}
.heading{{font-size:12px;font-weight:600;text-anchor:start}}
.badge{{font-size:11px;font-weight:600;fill:#ffffff}}
.sign{{font-size:15px}}
.pill{{fill:#4a5ac9;stroke:none}}
.wire{{fill:none;stroke:#8a94a6;stroke-width:1.3}}
.tip{{fill:#8a94a6}}
.card{{stroke-width:1.2}}
.weight>.card,.loop>.card{{stroke-dasharray:4 3}}
.open>.card{{fill-opacity:.45}}
"""
_DARK = """
.ground{fill:#12151c}
text{fill:#e6e9ef}
.detail,.follower{fill:#a9b2c3}
.caption,.shape{fill:#98a2b3}
.badge{fill:#ffffff}
.wire{stroke:#7b8698}
.tip{fill:#7b8698}
"""


def sheet() -> str:
    """The style sheet of a picture."""
    light = "".join(
        f".{name}>.card{{fill:{fill};stroke:{line}}}"
        for name, (fill, line, _, _) in FAMILIES.items()
    )
    dark = "".join(
        f".{name}>.card{{fill:{fill};stroke:{line}}}"
        for name, (_, _, fill, line) in FAMILIES.items()
    )
    both = f"{_BASE}{light}@media (prefers-color-scheme:dark){{{_DARK}{dark}}}"
    return both.replace("\n", "")
