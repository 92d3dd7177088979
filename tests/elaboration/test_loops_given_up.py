"""A loop whose turns repeat one fault is given up, instead of finding it again in each."""

from __future__ import annotations

from nnspec.compiler import check_source
from nnspec.elaboration.loops import MOST_REPEATED
from nnspec.source import Source

NESTED = """model M {
  input x: [B, 64]
  for i in range(1000) {
    for j in range(1000) { n = i * k + j }
  }
  for j in range(3) { x = x -> Linear(j) -> Linear(k) }
  output y = x
}
"""


def test_a_fault_of_every_turn_is_looked_for_a_few_times(monkeypatch) -> None:
    from nnspec.elaboration import lookup

    asked: list[str] = []
    told = lookup.unknown_text

    def counted(name: str, known: object) -> object:
        asked.append(name)
        return told(name, list(known))  # pyright: ignore[reportArgumentType, reportCallIssue]

    monkeypatch.setattr(lookup, "unknown_text", counted)
    _, found = check_source(Source("spec.nns", NESTED), None, {})
    places = {(d.code, d.location.span.start) for d in found.errors if d.location}
    assert ("E0201", NESTED.index("k + j")) in places
    assert 0 < len(asked) <= 2 * MOST_REPEATED + 8
