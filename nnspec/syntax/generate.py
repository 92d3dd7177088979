"""Turns grammar/nnspec.lark into the tables that the parser runs on: `python -m nnspec.syntax.generate`.

Lark analyses the grammar here, once, when nnspec is developed; running nnspec needs only the tables.
States are numbered in the order in which a walk over sorted symbols meets them, so that the same
grammar always gives the same file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

GRAMMAR = Path(__file__).parents[2] / "grammar" / "nnspec.lark"
TABLES = Path(__file__).with_name("tables.py")

HEADER = '''"""The parse tables; made from grammar/nnspec.lark by `python -m nnspec.syntax.generate`."""

# fmt: off
'''


class Rule(NamedTuple):
    """One production.

    `action` names the builder: "" hands on the only child, "*" gathers the children in a list. A step
    is the number of a child, the complement of it (~number) where the child is such a list to be
    spliced in, or None for an optional part that is not there.
    """

    origin: str
    size: int
    action: str
    steps: tuple[int | None, ...]


def load_grammar(grammar: str, *, strict: bool = False) -> Any:
    """Lark's analysis of the grammar; `strict` refuses every conflict and needs interegular."""
    import lark

    return lark.Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        strict=strict,
        maybe_placeholders=True,
    )


def generate(grammar: str) -> str:
    """The text of tables.py."""
    analysed = load_grammar(grammar)
    table = analysed.parser.parser._parse_table
    order = _walk(table.states, table.start_states["start"])
    rules = list(analysed.rules)
    lines = [HEADER]
    lines.append(f"ACCEPT = {order[table.end_states['start']]}\n")
    lines.extend(_terminals(analysed.terminals))
    lines.extend(
        _listing(
            "RULES",
            "tuple[tuple[str, int, str, tuple[int | None, ...]], ...]",
            (repr(tuple(_rule(rule))) for rule in rules),
        )
    )
    lines.extend(
        _states(table.states, order, {rule: at for at, rule in enumerate(rules)})
    )
    return "\n".join(lines).rstrip("\n") + "\n"


def _walk(states: dict[Any, dict[str, Any]], start: Any) -> dict[Any, int]:
    order = {start: 0}
    waiting = [start]
    for state in waiting:
        for _, (_, target) in sorted(_shifts(states[state])):
            if target not in order:
                order[target] = len(order)
                waiting.append(target)
    return order


def _shifts(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((str(name), act) for name, act in row.items() if str(act[0]) == "Shift")


def _rule(rule: Any) -> Rule:
    keep_all = rule.options.keep_all_tokens
    missing = rule.options.empty_indices or (False,) * len(rule.expansion)
    steps: list[int | None] = []
    at = 0
    for absent in missing:
        if absent:
            steps.append(None)
            continue
        symbol = rule.expansion[at]
        if keep_all or not (symbol.is_term and symbol.filter_out):
            inline = not symbol.is_term and symbol.name.startswith("_")
            steps.append(~at if inline else at)
        at += 1
    return Rule(
        str(rule.origin.name), len(rule.expansion), _action(rule, steps), tuple(steps)
    )


def _action(rule: Any, steps: list[int | None]) -> str:
    if rule.origin.name.startswith("_"):
        return "*"
    if rule.options.expand1 and not rule.alias and len(steps) == 1:
        return ""
    return str(rule.alias or rule.origin.name)


def _terminals(terminals: list[Any]) -> Iterator[str]:
    literals = {t.pattern.value: t.name for t in terminals if t.pattern.type == "str"}
    words = {text: name for text, name in literals.items() if text.isalpha()}
    signs = {text: name for text, name in literals.items() if not text.isalpha()}
    patterns = {t.name: t.pattern.value for t in terminals if t.pattern.type == "re"}
    for name, table in ("WORDS", words), ("SIGNS", signs), ("PATTERNS", patterns):
        yield f"{name}: dict[str, str] = {{"
        yield from (f"    {key!r}: {table[key]!r}," for key in sorted(table))
        yield "}\n"


def _states(
    states: dict[Any, dict[str, Any]], order: dict[Any, int], rules: dict[Any, int]
) -> Iterator[str]:
    lookaheads: dict[tuple[str, ...], int] = {}
    rows: list[str] = []
    for state in order:
        reduces: dict[int, list[str]] = {}
        for name, (kind, rule) in states[state].items():
            if str(kind) != "Shift":
                reduces.setdefault(rules[rule], []).append(str(name))
        shifts = {name: order[act[1]] for name, act in sorted(_shifts(states[state]))}
        numbered = {
            rule: lookaheads.setdefault(tuple(sorted(names)), len(lookaheads))
            for rule, names in sorted(reduces.items())
        }
        rows.append(repr((shifts, numbered)))
    yield from _listing(
        "LOOKAHEADS", "tuple[tuple[str, ...], ...]", map(repr, lookaheads)
    )
    yield "# For each state: where a symbol leads, and which rule to reduce before which lookaheads."
    yield from _listing(
        "STATES", "tuple[tuple[dict[str, int], dict[int, int]], ...]", rows
    )


def _listing(
    name: str, annotation: str, items: Iterator[str] | list[str]
) -> Iterator[str]:
    yield f"{name}: {annotation} = ("
    yield from (f"    {item}," for item in items)
    yield ")\n"


if __name__ == "__main__":
    TABLES.write_text(generate(GRAMMAR.read_text("utf-8")), "utf-8")
