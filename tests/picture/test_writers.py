"""SVG, DOT and Mermaid: sound, the same every time, and only text whatever the text is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nnspec.cli.main import USAGE, main
from nnspec.compiler import load
from nnspec.picture import FORMATS, picture
from nnspec.picture.cards import Row
from nnspec.picture.letters import plain
from nnspec.picture.opening import opened
from nnspec.picture.outline import Outline
from nnspec.picture.outlining import outline
from nnspec.picture.style import sheet
from nnspec.spec import Spec
from tests.picture import dot_grammar
from tests.picture.pictures import every_model

MODELS = every_model()
SVG = "{http://www.w3.org/2000/svg}"
HARMLESS = {"svg", "style", "title", "g", "rect", "circle", "path", "text", "tspan"}
HOSTILE = [
    '<script>alert(1)</script><img src=x onerror="alert(1)">',
    "]]> --> */ ?> &lt;b&gt; &#60; &amp;",
    '"]; n1 -> n2 [label="\\',
    '\\" \\\\ \\N \\G \\l',
    "```mermaid` %%{init: {}}%% #quot; click n0 href javascript:alert(1)",
    '"]\n  end\n  n9["planted"]:::plain',
    "\x1b]0;title\x07 \u202egnp.exe\u2066 \x00\ud800 \u2028",
    "[bold]rich[/bold] :smile: [link=http://x]",
    "very " * 400,
]


def hostile(text: str) -> Outline:
    """GPT-2 with a text in every place in which a card shows one."""
    found = outline(load("specs/language/gpt2.nns", "GPT2Small").program)
    for key, level in found.levels.items():
        cards = tuple(
            replace(
                card,
                rows=tuple(Row(text, text, text) for _ in card.rows),
                label=text,
            )
            for card in level.cards
        )
        found.levels[key] = replace(level, cards=cards)
    return found


def drawn(found: Outline, format: str, name: str) -> str:
    return FORMATS[format](found, opened(found, 1), name)


# ---- SVG ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_svg_is_well_formed_and_shows_every_shape(spec: Spec) -> None:
    root = ElementTree.fromstring(spec.picture("svg", depth=1))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= HARMLESS
    texts = {"".join(each.itertext()) for each in root.iter(f"{SVG}text")}
    found = outline(spec.program)
    for card in found.levels[found.top].cards:
        for outlet in card.outlets:
            assert outlet.label[:50] in {text[:50] for text in texts}
    width, height = (float(root.attrib[each]) for each in ("width", "height"))
    assert root.attrib["viewBox"] == f"0 0 {width:g} {height:g}"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text_in_svg(text: str) -> None:
    root = ElementTree.fromstring(drawn(hostile(text), "svg", text))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= HARMLESS
    names = {name for each in root.iter() for name in each.attrib}
    assert not any(name.startswith("on") or name.endswith("href") for name in names)
    shown = [each.text or "" for each in root.iter(f"{SVG}text")]
    assert any(each[:20] == plain(text)[:20] for each in shown)
    assert all(each.isprintable() for each in shown)


def test_what_stands_in_a_loop_is_not_dashed_with_it() -> None:
    rules = re.findall(r"([^{}]*)\{stroke-dasharray", sheet())
    assert rules == [".weight>.card,.loop>.card"]


def test_svg_refers_to_nothing_outside() -> None:
    text = MODELS[0].picture("svg")
    assert re.findall(r"https?://[^\s\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in text
    assert "@import" not in text


# ---- DOT ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_dot_can_be_read(spec: Spec) -> None:
    found = outline(spec.program)
    graph = dot_grammar.read(spec.picture("dot"))
    level = found.levels[found.top]
    assert len(graph.edges) >= len(level.wires)
    labels = [label for _, _, label in graph.edges]
    for wire in level.wires:
        assert level.cards[wire.source].outlets[wire.outlet].label in labels
    assert {end for tail, head, _ in graph.edges for end in (tail, head)} <= set(
        graph.nodes
    )


def test_open_blocks_are_clusters_of_dot() -> None:
    spec = load("specs/language/gpt2.nns", "GPT2Small")
    graph = dot_grammar.read(spec.picture("dot", open=["blocks"]))
    assert list(graph.clusters.values()) == ["Block  blocks.0-11 (x12)"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text_in_dot(text: str) -> None:
    calm = dot_grammar.read(drawn(hostile("calm"), "dot", "calm"))
    graph = dot_grammar.read(drawn(hostile(text), "dot", text))
    assert graph.nodes.keys() == calm.nodes.keys()
    assert graph.edges == calm.edges
    assert any(plain(text)[:20] in label for label in graph.nodes.values())


# ---- Mermaid ------------------------------------------------------------------------------------------

_TEXT = r'"(?:[A-Za-z0-9 ,.:+\-*/=_()\[\]]|\#\d+;|<br/>)*"'
_MERMAID = re.compile(
    rf"""flowchart[ ]TD | [ ]+%%[ ]Generated[ ]by[ ]nnspec
    | [ ]+n\d+(?:\(\[{_TEXT}\]\)|\(\({_TEXT}\)\)|\[{_TEXT}\]):::[a-z]+
    | [ ]+direction[ ]TB | [ ]+class[ ]n\d+[ ][a-z]+
    | [ ]+subgraph[ ]n\d+\[{_TEXT}\] | [ ]+end
    | [ ]+n\d+[ ]-->\|{_TEXT}\|[ ]n\d+
    | [ ]+classDef[ ][a-z]+[ ]fill:\#[0-9a-f]+,stroke:\#[0-9a-f]+,color:\#[0-9a-f]+""",
    re.VERBOSE,
)


def assert_mermaid(text: str) -> None:
    lines = text.removesuffix("\n").split("\n")
    assert lines[0] == "flowchart TD"
    depth = 0
    for line in lines:
        assert _MERMAID.fullmatch(line), line
        depth += ("subgraph" in line) - (line.strip() == "end")
        assert depth >= 0
    assert depth == 0


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_mermaid_is_sound(spec: Spec) -> None:
    assert_mermaid(spec.picture("mmd", depth=2))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text_in_mermaid(text: str) -> None:
    found = drawn(hostile(text), "mmd", text)
    assert_mermaid(found)
    calm = drawn(hostile("calm"), "mmd", "calm")
    assert found.count("\n") == calm.count("\n")
    first = re.search(_TEXT, found)
    assert first is not None
    shown = re.sub(
        r"#(\d+);", lambda m: chr(int(m[1])), first[0][1:-1].split("<br/>")[0]
    )
    assert shown[:20] == plain(text)[:20]


# ---- all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_picture_every_time(format: str) -> None:
    program = load("specs/language/t5.nns").program
    assert picture(program, format, depth=2) == picture(program, format, depth=2)


@pytest.mark.parametrize("format", FORMATS)
def test_the_command_writes_a_file_and_replaces_its_own(
    format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"net.{format}"
    command = ["graph", "specs/language/gpt2.nns:GPT2Small", "-o", str(path)]
    assert main(command) == 0
    first = path.read_text(encoding="utf-8")
    assert main([*command, "--open", "blocks"]) == 0
    assert len(path.read_text(encoding="utf-8")) >= len(first)
    path.write_text("mine")
    assert main(command) == 3
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert path.read_text(encoding="utf-8") == first


def test_unknown_ends_and_blocks_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["graph", "specs/language/gpt2.nns:GPT2Small", "-o"]
    assert main([*command, str(tmp_path / "net.pdf")]) == USAGE
    assert "should end with one of .svg" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "net.svg"), "--open", "blok"]) == USAGE
    assert "did you mean `Block`?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
