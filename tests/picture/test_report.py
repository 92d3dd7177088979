"""What the report says of a model, before any browser: parts add up, formulas are JavaScript, text is inert."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.setting import Setting
from nnspec.cli.main import main
from nnspec.compiler import load
from nnspec.ir.dims import ZERO
from nnspec.picture.outlining import outline
from nnspec.picture.panels import Panels
from nnspec.spec import Spec
from tests.picture.pictures import every_model, model

MODELS = every_model()
ADDITIVE = [each.name for each in FIGURES.values() if each.has_parts]


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
@pytest.mark.slow
def test_parts_add_up_to_what_holds_them(spec: Spec) -> None:
    analysis = Analysis(spec.program)
    found = outline(spec.program)
    panels = Panels(found, analysis, ADDITIVE).panels()
    for name in ADDITIVE:
        sums = [sum((f[name] for f in panel.figures), start=ZERO) for panel in panels]
        assert sums[0] == analysis.figure(name)
        for panel in panels:
            for card, inside in enumerate(panel.inside):
                if inside >= 0:
                    assert sums[inside] == panel.figures[card][name]


def test_uses_of_one_instance_own_its_weights_once() -> None:
    spec = model(
        "block Twice(x: [B, 8]) { return x -> fc: Linear(8) }\n"
        "model M {\n  input x: [B, 8]\n  shared = Twice()\n"
        "  output y = x -> shared -> shared\n}\n"
    )
    found = outline(spec.program)
    panels = Panels(found, Analysis(spec.program), ["parameters", "flops"]).panels()
    figures = [each for each in panels[0].figures if each["flops"] != 0]
    assert [int(each["parameters"]) for each in figures] == [72, 0]
    assert len({str(each["flops"]) for each in figures}) == 1


class _Reader(HTMLParser):
    """The tags of a page with their attributes, and what is in scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts and data.strip():
            self.texts[self._inside].append(data)


def read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    return reader


@pytest.mark.parametrize("format", ["report", "graph"])
def test_the_policy_allows_what_is_in_the_page_and_nothing_else(format: str) -> None:
    spec = load("specs/vision/resnet.nns", "ResNet50")
    page = read(spec.report() if format == "report" else spec.picture("html"))
    policies = [
        attributes["content"] or ""
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (policy,) = map(unescape, policies)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag in ("script", "style"):
        (content,) = page.texts[tag]
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not {tag for tag, _ in page.tags} & {"a", "base", "iframe", "img", "link"}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not names & {"src", "href", "style"}


def test_names_of_a_spec_end_no_script_and_mean_nothing() -> None:
    spec = model(
        '"""</script><script>alert(1)</script> <!-- ]]> \\" ${x}"""\n'
        "model M {\n"
        "  input x: [await, constructor, 4]\n"
        '  output y = x -> rearrange("a b c -> c (a b)")\n}\n'
    )
    text = spec.report()
    assert text.count("<script") == text.count("</script") == 1
    assert re.search(r"\(await_, constructor\) =>", text)


def test_the_same_report_every_time_and_under_any_setting(tmp_path: Path) -> None:
    spec = load("specs/language/gpt2.nns", "GPT2Small")
    assert spec.report() == spec.report()
    assert "mixed_bf16" in spec.report(Setting.named(policy="mixed_bf16"))
    path = tmp_path / "gpt2.html"
    command = ["report", "specs/language/gpt2.nns:GPT2Small", "B=3", "-o", str(path)]
    assert main(command) == 0
    assert '"value":"3"' in path.read_text(encoding="utf-8")
    assert main(command) == 0  # it may replace its own file
    assert main([*command[:-1], str(tmp_path / "gpt2.pdf")]) == 2
