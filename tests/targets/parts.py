"""Models that apply one block several times, and the proof that both programs are right."""

from __future__ import annotations

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec


def spec(body: str, uses: str, parameters: str = "a: bool", more: str = "") -> Spec:
    """A model that applies a block with this body, once with each of these arguments."""
    lines = [
        f"  x = x -> part{i}: Part({use})" for i, use in enumerate(uses.split(";"))
    ]
    text = (
        f"{more}\nblock Part(x: [B, D], {parameters}) {{\n  {body}\n}}\n"
        "model M {\n  input x: [B, 6]\n" + "\n".join(lines) + "\n  output y = x\n}\n"
    )
    return loaded(text)


def loaded(text: str) -> Spec:
    """The model of a text."""
    return load_source(Source("parts.nns", text), ["M"], {})[0]


def proven(found: Spec) -> None:
    report = found.verify(backends=("torch",))
    assert report.ok, report.text()
