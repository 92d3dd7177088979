"""Makes the nodes of expressions, patterns and types; the base of what makes whole files.

A method gets the parts that carry meaning (the numbers of tokens, nodes, lists of them, None for what was
left out) and the span of the whole. Faults found here are reported and mended, so that parsing goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.diagnostics import Diagnostic, Diagnostics, Label
from nnspec.source import Location, Span
from nnspec.syntax import ast
from nnspec.syntax.lexer import Tokens
from nnspec.syntax.literals import number_value, string_value
from nnspec.syntax.tables import RULES, SIGNS, WORDS

_WRITTEN = {kind: text for text, kind in (SIGNS | WORDS).items()}

Parts = list[Any]


class ExpressionBuilder:
    """Builds expressions, and reports what is wrong in them."""

    def __init__(self, tokens: Tokens, diagnostics: Diagnostics) -> None:
        self.tokens = tokens
        self.diagnostics = diagnostics
        self.yields: list[Span] = []

    def builders(self) -> dict[str, Callable[[Parts, Span], Any]]:
        """The methods by the names that the tables use; keywords of Python have a `_`."""
        names = {action for _, _, action, _ in RULES if action not in ("", "*")}
        return {name: getattr(self, f"rule_{name}") for name in names}

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        labels: Sequence[tuple[Span, str]] = (),
    ) -> None:
        """Adds a diagnostic about this file."""
        source = self.tokens.source
        placed = tuple(Label(Location(source, place), text) for place, text in labels)
        self.diagnostics.add(
            Diagnostic(code, message, Location(source, span), placed, hint)
        )

    def finish(self) -> None:
        """Reports what only the whole file can show: a `yield` outside of every `scan`."""
        for span in self.yields:
            place = Span(span.start, span.start + len("yield"))
            self.report(
                "E0130", "`yield` stands outside of a `scan`", place, "write `return`"
            )

    # ---- expressions ---------------------------------------------------------------------------

    def rule_name(self, parts: Parts, span: Span) -> ast.Name:
        return ast.Name(span, self.tokens.text(parts[0]))

    def rule_number(self, parts: Parts, span: Span) -> ast.Number:
        value, is_int, unit = number_value(self.tokens, parts[0], self.diagnostics)
        return ast.Number(span, value, is_int, unit)

    def rule_string(self, parts: Parts, span: Span) -> ast.String:
        return ast.String(span, self._string(parts[0]))

    def _string(self, index: int) -> str:
        return string_value(self.tokens, index, self.diagnostics)

    def rule_true(self, parts: Parts, span: Span) -> ast.Bool:
        return ast.Bool(span, True)

    def rule_false(self, parts: Parts, span: Span) -> ast.Bool:
        return ast.Bool(span, False)

    def rule_none(self, parts: Parts, span: Span) -> ast.NoneLiteral:
        return ast.NoneLiteral(span)

    def rule_rest(self, parts: Parts, span: Span) -> ast.Rest:
        return ast.Rest(span)

    def rule_spread(self, parts: Parts, span: Span) -> ast.Spread:
        return ast.Spread(span, self.tokens.text(parts[0]))

    def rule_parenthesis(self, parts: Parts, span: Span) -> ast.Expr:
        return parts[0]

    def rule_group(self, parts: Parts, span: Span) -> ast.Group:
        return ast.Group(span, tuple(parts))

    def rule_list(self, parts: Parts, span: Span) -> ast.ListExpr:
        return ast.ListExpr(span, _present(parts))

    def rule_comprehension(self, parts: Parts, span: Span) -> ast.Comprehension:
        return ast.Comprehension(span, *parts)

    def rule_ternary(self, parts: Parts, span: Span) -> ast.Ternary:
        then, condition, otherwise = parts
        return ast.Ternary(span, condition, then, otherwise)

    def rule_chain(self, parts: Parts, span: Span) -> ast.Chain:
        return ast.Chain(span, tuple(parts[1::2]), tuple(parts[::2]))

    def rule_or_chain(self, parts: Parts, span: Span) -> ast.Chain:
        return ast.Chain(span, ("or",) * (len(parts) - 1), tuple(parts))

    def rule_and_chain(self, parts: Parts, span: Span) -> ast.Chain:
        return ast.Chain(span, ("and",) * (len(parts) - 1), tuple(parts))

    def rule_compare(self, parts: Parts, span: Span) -> ast.Compare:
        left, operator, right = parts
        return ast.Compare(span, operator, left, right)

    def _operator(self, parts: Parts, span: Span) -> str:
        return _WRITTEN[self.tokens.kinds[parts[0]]]

    rule_comparator = rule_add_operator = rule_multiply_operator = _operator

    def rule_unary(self, parts: Parts, span: Span) -> ast.Unary:
        return ast.Unary(span, self._operator(parts, span), parts[1])

    def rule_power(self, parts: Parts, span: Span) -> ast.Power:
        return ast.Power(span, *parts)

    def rule_attribute(self, parts: Parts, span: Span) -> ast.Attribute:
        if isinstance(parts[0], ast.Name) and parts[0].id == "self":
            name = self.tokens.text(parts[1])
            self.report(
                "E0118", "there is no `self` here", parts[0].span, f"write `{name}`"
            )
        return ast.Attribute(
            span, parts[0], self.tokens.text(parts[1]), self.tokens.span(parts[1])
        )

    def rule_index(self, parts: Parts, span: Span) -> ast.Index:
        return ast.Index(span, *parts)

    def rule_subscripts(self, parts: Parts, span: Span) -> tuple[ast.Expr, ...]:
        return tuple(parts)

    def rule_slice(self, parts: Parts, span: Span) -> ast.Slice:
        return ast.Slice(span, *parts)

    # ---- calls and pipes -----------------------------------------------------------------------

    def rule_positional(self, parts: Parts, span: Span) -> ast.Argument:
        return ast.Argument(span, None, parts[0])

    def rule_keyword(self, parts: Parts, span: Span) -> ast.Argument:
        return ast.Argument(
            span, self.tokens.text(parts[0]), parts[1], self.tokens.span(parts[0])
        )

    def rule_arguments(
        self, parts: Parts, span: Span
    ) -> tuple[tuple[ast.Argument, ...], bool]:
        """The arguments, and whether they end in `...`."""
        named: dict[str, ast.Argument] = {}
        kept: list[ast.Argument] = []
        for at, part in enumerate(parts):
            if isinstance(part, ast.Rest):
                if at < len(parts) - 1:
                    message = "`...` stands before other arguments"
                    self.report(
                        "E0131", message, part.span, "write `...` last: `F(k=1, ...)`"
                    )
                continue
            self._check_argument(part, named)
            kept.append(part)
        return tuple(kept), any(isinstance(part, ast.Rest) for part in parts)

    def _check_argument(
        self, argument: ast.Argument, named: dict[str, ast.Argument]
    ) -> None:
        if argument.name is None:
            if named:
                last = next(reversed(named.values()))
                self.report(
                    "E0132",
                    "an argument without a name stands after one with a name",
                    argument.span,
                    "name this argument too, or move it to the front",
                    [(last.span, "this one has a name")],
                )
            return
        if argument.name in named:
            first = named[argument.name]
            self.report(
                "E0133",
                f"the argument `{argument.name}` is given twice",
                argument.span,
                "delete one of the two",
                [(first.span, "first given here")],
            )
        named[argument.name] = argument

    def rule_call(self, parts: Parts, span: Span) -> ast.Call:
        arguments, partial = parts[1] or ((), False)
        return ast.Call(span, parts[0], arguments, partial)

    def rule_supplied(
        self, parts: Parts, span: Span
    ) -> tuple[tuple[ast.Argument, ...], bool]:
        return parts[0] or ((), False)

    def rule_stage(self, parts: Parts, span: Span) -> ast.Stage:
        label, callee, supplied = parts
        arguments, partial = supplied or (None, False)
        return ast.Stage(
            span,
            None if label is None else self.tokens.text(label),
            callee,
            arguments,
            partial,
            None if label is None else self.tokens.span(label),
        )

    def rule_pipe(self, parts: Parts, span: Span) -> ast.Pipe:
        return ast.Pipe(span, parts[0], tuple(parts[1:]))

    # ---- patterns and types --------------------------------------------------------------------

    def rule_pattern_name(self, parts: Parts, span: Span) -> ast.Pattern:
        return ast.Pattern(span, self.tokens.text(parts[0]))

    def rule_pattern(self, parts: Parts, span: Span) -> ast.Pattern:
        return parts[0] if len(parts) == 1 else ast.Pattern(span, None, tuple(parts))

    def rule_scalar_type(self, parts: Parts, span: Span) -> ast.ScalarType:
        return ast.ScalarType(span, self.tokens.text(parts[0]))

    def rule_shape(self, parts: Parts, span: Span) -> tuple[ast.Expr, ...]:
        return _present(parts)

    def rule_shape_type(self, parts: Parts, span: Span) -> ast.ShapeType:
        return ast.ShapeType(span, None, parts[0])

    def rule_dtype_type(self, parts: Parts, span: Span) -> ast.ShapeType:
        return ast.ShapeType(span, self.tokens.text(parts[0]), parts[1])

    def rule_list_type(self, parts: Parts, span: Span) -> ast.ShapeType:
        return ast.ShapeType(span, "list", (), parts[0])


def _present(parts: Parts) -> tuple[Any, ...]:
    return tuple(part for part in parts if part is not None)
