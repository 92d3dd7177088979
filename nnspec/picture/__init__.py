"""Architectures as pictures: a folded outline of a program, its layout, and writers for SVG, DOT, Mermaid and HTML.

`outline` says what is drawn, `skeleton`, `plan` and `geometry` where, and the writers how. The same drawing
serves `nnspec graph` and `nnspec report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.ir.graph import Path, Program
from nnspec.picture.opening import opened
from nnspec.picture.outline import Outline
from nnspec.picture.outlining import outline
from nnspec.picture.skeleton import TooLarge

Writer: TypeAlias = Callable[[Outline, "frozenset[Path]", str], str]


def picture(
    program: Program,
    format: str,
    *,
    depth: int = 0,
    open: Iterable[str] = (),
    symbols: Mapping[str, Size] | None = None,
) -> str:
    """A program as a picture, in one of `FORMATS`.

    Blocks are open `depth` levels deep, and where `open` names them (see `opening.opened`, which raises
    `Unknown`). Raises `SpecError` (E0502) for a level with more wires than can be drawn.
    """
    found = outline(program, symbols)
    try:
        return FORMATS[format](found, opened(found, depth, open), program.name)
    except TooLarge as error:
        raise SpecError(
            "E0502",
            f"a part of this model is too large to draw: {error}",
            hint="put what belongs together into blocks, which are drawn folded",
        ) from None


def _svg(found: Outline, paths: frozenset[Path], name: str) -> str:
    from nnspec.picture.draw import draw
    from nnspec.picture.scene import arrange

    return draw(arrange(found, paths), name)


def _dot(found: Outline, paths: frozenset[Path], name: str) -> str:
    from nnspec.picture.dot import dot
    from nnspec.picture.tree import tree

    return dot(tree(found, paths), name)


def _mermaid(found: Outline, paths: frozenset[Path], name: str) -> str:
    from nnspec.picture.mermaid import mermaid
    from nnspec.picture.tree import tree

    return mermaid(tree(found, paths))


def _html(found: Outline, paths: frozenset[Path], name: str) -> str:
    from nnspec.picture.page import graph_page

    return graph_page(found, paths, name)


FORMATS: Mapping[str, Writer] = MappingProxyType(
    {"svg": _svg, "dot": _dot, "mmd": _mermaid, "html": _html}
)
"""Writers by the ends of file names."""
