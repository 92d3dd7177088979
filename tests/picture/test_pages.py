"""The pages in a browser: sliders move figures, blocks open, the layout is that of the SVG, nothing gets out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.typical import typical_sizes
from nnspec.compiler import load
from nnspec.picture import FORMATS
from nnspec.picture.opening import opened
from nnspec.picture.outlining import outline
from nnspec.picture.page import graph_page
from nnspec.picture.scene import Scene, arrange
from nnspec.spec import Spec
from tests.picture.browser import Page, page
from tests.picture.pictures import every_model, model
from tests.picture.test_writers import HOSTILE, hostile

pytestmark = pytest.mark.browser

MODELS = every_model()
FIGURES = """
Object.fromEntries([...document.querySelectorAll(".tile")].map((tile) =>
  [tile.id.slice(7), [tile.dataset.value, tile.dataset.below]]))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with page() as found:
        yield found


def write(text: str, folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


def figures(browser: Page) -> dict[str, tuple[int, int]]:
    shown = browser.run(FIGURES)
    return {name: (int(value), int(below)) for name, (value, below) in shown.items()}


def assert_figures(browser: Page, spec: Spec, sizes: dict[str, int]) -> None:
    """Every figure on the page is what nnspec counts at these sizes, exactly."""
    analysis = Analysis(spec.program)
    shown = figures(browser)
    assert {"parameters", "flops", "bytes_read"} <= shown.keys()
    for name, (value, below) in shown.items():
        found = analysis.at(name, sizes)
        assert (value, below) == (int(found.value), int(found.below)), name


def slide(browser: Page, name: str, step: int) -> int:
    """Moves a slider as a reader would; the size at which it stands then."""
    return int(
        browser.run(f"""
        (() => {{
          const slider = document.getElementById("slider-{name}");
          slider.value = {step};
          slider.dispatchEvent(new Event("input", {{bubbles: true}}));
          return document.getElementById("size-{name}").value;
        }})()
        """)
    )


def enter(browser: Page, name: str, text: str) -> str:
    """Types a size; what the page says below the field."""
    return browser.run(f"""
        (() => {{
          const field = document.getElementById("size-{name}");
          field.value = {json.dumps(text)};
          field.dispatchEvent(new Event("input", {{bubbles: true}}));
          return field.parentElement.querySelector("small.wrong")?.textContent ?? "";
        }})()
    """)


# ---- the report ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_every_report_opens_with_the_figures_of_its_sizes(
    spec: Spec, browser: Page, tmp_path: Path
) -> None:
    browser.open(write(spec.report(), tmp_path))
    assert browser.complaints() == []
    assert_figures(browser, spec, {**typical_sizes(spec.program), **spec.symbols})


def test_a_slider_moves_every_figure(browser: Page, tmp_path: Path) -> None:
    spec = load("specs/language/gpt2.nns", "GPT2Small")
    browser.open(write(spec.report(), tmp_path))
    before = figures(browser)
    seen: set[int] = set()
    for step in (0, 250, 500, 777, 1000):
        batch = slide(browser, "B", step)
        length = slide(browser, "T", 1000 - step)
        assert 1 <= length <= 1024
        assert_figures(browser, spec, {"B": batch, "T": length})
        seen.add(batch)
    assert len(seen) == 5
    assert figures(browser)["flops"] != before["flops"]
    shown = browser.run('document.querySelector("#figure-flops .exact").textContent')
    assert int(shown.replace(",", "")) == figures(browser)["flops"][0]


@pytest.mark.parametrize(
    ("file", "name", "symbols"),
    [
        ("language/t5.nns", "T5Small", "BST"),
        ("language/bert.nns", "BERTBase", "BT"),
        ("sequence/encoders.nns", "LSTMEncoder", "BT"),
    ],
)
def test_sizes_of_one_lie_otherwise_in_memory(
    file: str, name: str, symbols: str, browser: Page, tmp_path: Path
) -> None:
    spec = load(f"specs/{file}", name)
    browser.open(write(spec.report(), tmp_path))
    for sizes in product((1, 2, 7), repeat=len(symbols)):
        at = dict(zip(symbols, sizes, strict=True))
        assert [enter(browser, symbol, str(size)) for symbol, size in at.items()] == [
            ""
        ] * len(at)
        assert_figures(browser, spec, at)


def test_a_long_formula_does_not_push_the_page_away(
    browser: Page, tmp_path: Path
) -> None:
    browser.open(write(load("specs/language/t5.nns", "T5Small").report(), tmp_path))
    shown = browser.run(
        'const f = document.querySelector("#figure-train_peak .formula");'
        "[f.scrollHeight, f.clientHeight, f.closest('.tile').offsetHeight]"
    )
    whole, seen, tile = shown
    assert whole > 2 * seen  # all of it is there
    assert tile < 400


def test_a_slider_reaches_its_ends(browser: Page, tmp_path: Path) -> None:
    far = 10**30 + 7
    text = (
        f"model M {{\n  input x: [B, 8]\n  require B >= 3\n  require B <= {far}\n"
        "  output y = x -> Linear(8)\n}\n"
    )
    browser.open(write(model(text).report(), tmp_path))
    assert [slide(browser, "B", step) for step in (0, 1000)] == [3, far]
    assert all(3 <= slide(browser, "B", step) <= far for step in range(0, 1000, 50))


def test_a_size_may_be_larger_than_any_float(browser: Page, tmp_path: Path) -> None:
    spec = load("specs/language/gpt2.nns", "GPT2Small")
    browser.open(write(spec.report(), tmp_path))
    assert enter(browser, "B", "1" + "0" * 30) == ""
    assert_figures(browser, spec, {"B": 10**30, "T": 1024})


def test_sizes_keep_to_what_the_model_requires(browser: Page, tmp_path: Path) -> None:
    spec = load("specs/vision/unet.nns")
    browser.open(write(spec.report(), tmp_path))
    heights = {slide(browser, "H", step) for step in range(0, 1001, 100)}
    assert all(height % 16 == 0 and height >= 16 for height in heights)
    assert len(heights) > 8
    slide(browser, "H", 0)
    before = figures(browser)
    assert enter(browser, "H", "40") == "H must be a multiple of 16"
    assert enter(browser, "H", "0") == "H must be at least 16"
    assert enter(browser, "H", "-16") == "a whole number is needed"
    assert enter(browser, "H", "1e3") == "a whole number is needed"
    assert figures(browser) == before
    assert enter(browser, "H", "48") == ""
    assert figures(browser) != before


def test_a_size_too_small_for_the_model_is_refused(
    browser: Page, tmp_path: Path
) -> None:
    text = (
        "model M {\n  input x: [B, 1, H, 9]\n"
        "  output y = x -> Conv(4, 7) -> max_pool(2)\n}\n"
    )
    small = model(text)
    browser.open(write(small.report(), tmp_path))
    before = figures(browser)
    assert "less than 1" in enter(browser, "H", "3")
    assert figures(browser) == before
    assert enter(browser, "H", "30") == ""


def test_the_chosen_figure_colours_the_picture(browser: Page, tmp_path: Path) -> None:
    spec = load("specs/vision/resnet.nns", "ResNet50")
    browser.open(write(spec.report(), tmp_path))
    for name in ("flops", "parameters", "bytes_read"):
        browser.run(f'document.getElementById("figure-{name}").click()')
        shares = browser.run(
            '[...document.querySelectorAll("#graph [data-share]")].map((g) => +g.dataset.share)'
        )
        assert sum(shares) == pytest.approx(100, abs=0.1)
        covers = browser.run('document.querySelectorAll("#graph .heat").length')
        assert covers == sum(share > 0 for share in shares)
        parts = browser.run('document.querySelectorAll("#parts tr").length')
        assert parts == covers


def test_rows_and_cards_open_together(browser: Page, tmp_path: Path) -> None:
    spec = load("specs/language/t5.nns")
    browser.open(write(spec.report(), tmp_path))
    before = browser.run('document.querySelectorAll("#parts tr").length')
    browser.run("document.querySelector('#parts button:not([disabled])').click()")
    assert browser.run('document.querySelectorAll("#graph .open").length') == 1
    assert browser.run('document.querySelectorAll("#parts tr").length') > before
    browser.run("document.querySelector('#graph .open > [data-toggle]').focus()")
    browser.run(
        "document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))"
    )
    assert browser.run('document.querySelectorAll("#graph .open").length') == 0
    browser.run('document.getElementById("open").click()')
    assert browser.run('document.querySelectorAll("#graph .open").length') > 5
    browser.run('document.getElementById("fold").click()')
    assert browser.run('document.querySelectorAll("#parts tr").length') == before


# ---- the same drawing as in Python --------------------------------------------------------------------


def places(scene: Scene, prefix: str = "") -> dict[str, list[float]]:
    """By place where each figure stands, in its own level."""
    found: dict[str, list[float]] = {}
    for at, figure in enumerate(scene.figures):
        found[f"{prefix}{at}"] = [figure.x, figure.y, figure.height]
        if figure.inner is not None:
            found |= places(figure.inner, f"{prefix}{at}.")
    return found


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_the_page_lays_out_as_the_svg(
    spec: Spec, depth: int, browser: Page, tmp_path: Path
) -> None:
    found = outline(spec.program)
    paths = opened(found, depth)
    browser.open(write(graph_page(found, paths, spec.name), tmp_path))
    assert browser.complaints() == []
    shown = browser.run("""
        Object.fromEntries([...document.querySelectorAll("[data-place]")].map((group) => {
          const {e, f} = group.transform.baseVal.consolidate().matrix;
          return [group.dataset.place, [e, f]];
        }))
    """)
    scene = arrange(found, paths)
    expected = places(scene)
    assert shown.keys() == expected.keys()
    for name, (x, y, _) in expected.items():
        assert shown[name] == pytest.approx([x, y], abs=0.01)
    wires = browser.run(
        '[...document.querySelectorAll("#graph > svg > g > g > .wire")].map((p) => p.getBBox().height)'
    )
    assert len(wires) == len(scene.strokes)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_text_fits_its_card(spec: Spec, browser: Page, tmp_path: Path) -> None:
    """As the browser measures it, in the fonts that it has."""
    browser.open(write(spec.picture("html", depth=2), tmp_path))
    outside = browser.run("""
        [...document.querySelectorAll("g")].flatMap((group) => {
          const cards = group.querySelectorAll(":scope > .card");
          if (!cards.length) return [];
          const box = cards[cards.length - 1].getBoundingClientRect();
          return [...group.querySelectorAll(":scope > text:not(.shape):not(.badge)")]
            .filter((text) => {
              const own = text.getBoundingClientRect();
              return own.left < box.left || own.right > box.right || own.bottom > box.bottom + 1;
            }).map((text) => text.textContent);
        })
    """)
    assert outside == []


# ---- nothing gets out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str, browser: Page, tmp_path: Path) -> None:
    found = hostile(text)
    path = write(FORMATS["html"](found, opened(found, 1), text), tmp_path)
    browser.open(path)
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]
    assert (
        browser.run(
            'document.querySelectorAll("#graph img, #graph script, #graph a").length'
        )
        == 0
    )
    assert browser.run('document.querySelectorAll("script").length') == 1
    assert browser.run('document.querySelectorAll("#graph .card").length') > 15


def test_the_policy_stops_scripts_and_requests(browser: Page, tmp_path: Path) -> None:
    path = write(MODELS[0].report(), tmp_path)
    browser.open(path)
    stopped = browser.run("""
        (async () => {
          const script = document.createElement("script");
          script.textContent = "window.planted = true";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "http://127.0.0.1:9/planted.png";
          document.body.append(image);
          const fetched = await fetch("http://127.0.0.1:9/planted").then(() => true, () => false);
          return [window.planted === undefined, fetched === false];
        })()
    """)
    assert stopped == [True, True]
    assert (
        len(
            [each for each in browser.complaints() if "Content Security Policy" in each]
        )
        >= 3
    )
