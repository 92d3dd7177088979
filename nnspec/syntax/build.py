"""Makes the nodes of the tree: one method for each rule of the grammar, under its name.

A method gets the parts that carry meaning (the numbers of tokens, nodes, lists of them, None for what was
left out) and the span of the whole. Faults found here are reported and mended, so that parsing goes on.
"""

from __future__ import annotations

from typing import Any

from nnspec.source import Span
from nnspec.syntax import ast
from nnspec.syntax.build_expressions import ExpressionBuilder, Parts
from nnspec.syntax.literals import doc_value


class Builder(ExpressionBuilder):
    """Builds the tree of one file."""

    _annotated = -1  # where the last annotation ended

    # ---- statements ----------------------------------------------------------------------------

    def rule_annotation(self, parts: Parts, span: Span) -> ast.Annotation:
        arguments, partial = parts[1] or ((), False)
        if self._is_operator(span):
            hint = "write `matmul(a, b)`"
            self.report(
                "E0156",
                "`@` is not an operator here",
                Span(span.start, span.start + 1),
                hint,
            )
        if partial:
            self.report(
                "E0131", "an annotation takes no `...`", span, "delete the `...`"
            )
        self._annotated = span.end
        return ast.Annotation(span, self.tokens.text(parts[0]), arguments)

    def _is_operator(self, span: Span) -> bool:
        """Whether an `@` follows a value on its line, as it does where a product is meant.

        Behind another annotation it begins one more.
        """
        text = self.tokens.source.text
        at = span.start - 1
        while at >= 0 and text[at] in " \t":
            at -= 1
        if at + 1 == self._annotated:
            return False
        return at >= 0 and (text[at].isalnum() or text[at] in '_)]"')

    def rule_annotations(self, parts: Parts, span: Span) -> tuple[ast.Annotation, ...]:
        return tuple(parts)

    def rule_statement(self, parts: Parts, span: Span) -> ast.Stmt:
        """The builders of statements wait for the annotations, which are known only here."""
        annotations, (make, fields) = parts
        return make(span, annotations, *fields)

    def rule_input(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.Input, (self.tokens.text(parts[0]), parts[1])

    def rule_output(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.Output, tuple(parts)

    def rule_bind(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.Bind, tuple(parts)

    def rule_targets(self, parts: Parts, span: Span) -> tuple[ast.Target, ...]:
        return tuple(parts)

    def rule_values(self, parts: Parts, span: Span) -> tuple[ast.Expr, ...]:
        return tuple(parts)

    def rule_target(self, parts: Parts, span: Span) -> ast.Target:
        return ast.Target(span, self.tokens.text(parts[0]), parts[1])

    def rule_for(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.For, tuple(parts)

    def rule_if(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.If, tuple(parts)

    def rule_else_if(self, parts: Parts, span: Span) -> ast.Body:
        """`else if`: a body that holds one statement."""
        make, fields = parts[0]
        return ast.Body(span, None, (make(span, (), *fields),))

    def rule_require(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        condition, message = parts
        return ast.Require, (
            condition,
            None if message is None else self._string(message),
        )

    def rule_return(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.Return, (parts[0],)

    def rule_yield(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        self.yields.append(span)
        return ast.Return, (parts[0],)

    def rule_scan(self, parts: Parts, span: Span) -> tuple[ast.Expr, ...]:
        """`scan` is parsed whole, so that it gives one diagnostic."""
        while self.yields and self.yields[-1].start >= span.start:
            self.yields.pop()
        self.report(
            "E0130",
            "`scan` cannot be compiled yet",
            Span(span.start, span.start + len("scan")),
            "write a `for` over a range that is known when compiling, or use LSTM, GRU or cumsum",
        )
        return (ast.NoneLiteral(span),)

    def rule_body(self, parts: Parts, span: Span) -> ast.Body:
        doc, *statements = parts
        return ast.Body(span, self._doc(doc), tuple(statements))

    def _doc(self, index: int | None) -> str | None:
        return None if index is None else doc_value(self.tokens.text(index))

    # ---- declarations --------------------------------------------------------------------------

    def rule_parameter(self, parts: Parts, span: Span) -> ast.Parameter:
        return ast.Parameter(span, self.tokens.text(parts[0]), *parts[1:])

    def rule_parameters(self, parts: Parts, span: Span) -> tuple[ast.Parameter, ...]:
        return tuple(parts)

    def rule_results(self, parts: Parts, span: Span) -> tuple[ast.TypeExpr, ...]:
        return tuple(parts)

    def rule_declaration(self, parts: Parts, span: Span) -> ast.Declaration:
        annotations, (make, name, fields) = parts
        if make is ast.Constant:
            bind = ast.Bind(span, annotations, *fields)
            fields = (bind,)
            target = bind.targets[0]
            name_span = Span(target.span.start, target.span.start + len(target.name))
            return ast.Constant(span, annotations, target.name, name_span, bind)
        return make(
            span, annotations, self.tokens.text(name), self.tokens.span(name), *fields
        )

    def rule_block(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        name, parameters, results, body = parts
        return ast.Block, name, (parameters or (), results or (), body)

    def rule_fn(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        name, parameters, results, body = parts
        return ast.Fn, name, (parameters or (), results or (), body)

    def rule_model(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        name, parameters, body = parts
        return ast.Model, name, (parameters or (), body)

    def rule_variant(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        name, model, arguments = parts
        found, partial = arguments or ((), False)
        if partial:
            hint = "delete the `...`: what a variant leaves out takes its default"
            self.report("E0131", "a variant takes no `...`", span, hint)
        model_span = self.tokens.span(model)
        return ast.Variant, name, (self.tokens.text(model), model_span, found)

    def rule_constant(self, parts: Parts, span: Span) -> tuple[Any, ...]:
        return ast.Constant, None, parts[0][1]

    def rule_names(self, parts: Parts, span: Span) -> tuple[tuple[str, Span], ...]:
        return tuple((self.tokens.text(part), self.tokens.span(part)) for part in parts)

    def rule_dotted(self, parts: Parts, span: Span) -> tuple[str, Span]:
        return ".".join(self.tokens.text(part) for part in parts), span

    def rule_use(self, parts: Parts, span: Span) -> ast.Use:
        path, names, alias = parts
        is_file = isinstance(path, int)
        place = (self._string(path), self.tokens.span(path)) if is_file else path
        alias = None if alias is None else self.tokens.text(alias)
        return ast.Use(span, place[0], is_file, names or (), alias, place[1])

    def rule_start(self, parts: Parts, span: Span) -> ast.File:
        doc, *items = parts
        source = self.tokens.source
        uses = tuple(item for item in items if isinstance(item, ast.Use))
        declarations = tuple(item for item in items if not isinstance(item, ast.Use))
        whole = Span(0, len(source.text))
        return ast.File(whole, source, self._doc(doc), uses, declarations)
