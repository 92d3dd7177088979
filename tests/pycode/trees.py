"""Trees for the tests: read from Python text, or made at random."""

from __future__ import annotations

import ast
import random

from nnspec.pycode import expressions as e
from nnspec.pycode import statements as s

_OPERATORS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.And: "and",
    ast.Or: "or",
    ast.USub: "-",
    ast.Invert: "~",
    ast.Not: "not",
}


def expression_of(node: ast.expr | ast.keyword) -> e.Expr:
    """The tree of an expression."""
    match node:
        case ast.Name(id=name):
            return e.Name(name)
        case ast.Constant(value=value):
            return e.Ellipsis_() if value is ... else e.Literal(value)
        case ast.Attribute(value=value, attr=name):
            return e.Attribute(expression_of(value), name)
        case ast.Call(
            func=function, args=[ast.GeneratorExp() as generator], keywords=[]
        ):
            return e.Call(expression_of(function), (_generator(generator, "call"),))
        case ast.Call():
            return _call(node)
        case ast.Starred(value=value):
            return e.Star(expression_of(value))
        case ast.Subscript(value=value, slice=part):
            return e.Subscript(expression_of(value), expression_of(part))
        case ast.Slice(lower=start, upper=stop, step=step):
            parts = (start, stop, step)
            return e.Slice(*(None if p is None else expression_of(p) for p in parts))
        case ast.Tuple(elts=items):
            return e.Display("tuple", tuple(map(expression_of, items)))
        case ast.List(elts=items):
            return e.Display("list", tuple(map(expression_of, items)))
        case ast.Set(elts=items):
            return e.Display("set", tuple(map(expression_of, items)))
        case ast.Dict(keys=keys, values=values):
            names = [None if key is None else ast.literal_eval(key) for key in keys]
            pairs = zip(names, map(expression_of, values), strict=True)
            return e.Dict(tuple(pairs))
        case ast.BinOp(left=left, op=op, right=right):
            return e.Binary(
                _OPERATORS[type(op)], expression_of(left), expression_of(right)
            )
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return e.Binary(
                _OPERATORS[type(op)], expression_of(left), expression_of(right)
            )
        case ast.BoolOp(op=op, values=[first, *rest]):
            tree = expression_of(first)
            for value in rest:
                tree = e.Binary(_OPERATORS[type(op)], tree, expression_of(value))
            return tree
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
            return e.Literal(-value)
        case ast.UnaryOp(op=op, operand=operand):
            return e.Unary(_OPERATORS[type(op)], expression_of(operand))
        case ast.IfExp(test=test, body=then, orelse=otherwise):
            return e.Choice(*map(expression_of, (test, then, otherwise)))
        case ast.ListComp():
            return _generator(node, "list")
        case ast.JoinedStr(values=values):
            return e.FString(tuple(map(_piece, values)))
    raise ValueError(ast.dump(node))


def _call(node: ast.Call) -> e.Call:
    arguments = [expression_of(argument) for argument in node.args]
    keywords: list[tuple[str, e.Expr]] = []
    for keyword in node.keywords:
        value = expression_of(keyword.value)
        if keyword.arg is None:
            arguments.append(e.Star(value, True))
        else:
            keywords.append((keyword.arg, value))
    return e.Call(expression_of(node.func), tuple(arguments), tuple(keywords))


def _generator(node: ast.ListComp | ast.GeneratorExp, kind: str) -> e.Generator:
    loop = node.generators[0]
    parts = map(expression_of, (node.elt, loop.target, loop.iter))
    return e.Generator(*parts, kind)


def _piece(node: ast.expr) -> str | e.Expr:
    if isinstance(node, ast.FormattedValue):
        return expression_of(node.value)
    return ast.literal_eval(node)


class Reader:
    """Reads statements, with blank lines and comments as they stand in the text."""

    def __init__(self, text: str) -> None:
        self.text = text.split("\n")
        module = ast.parse(text)
        doc, body = self._doc(module)
        self.file = s.File(doc or "", self.body(body))

    def _doc(self, node: ast.Module | ast.FunctionDef | ast.ClassDef):
        doc = ast.get_docstring(node, clean=True)
        return doc, node.body[1:] if doc is not None else node.body

    def body(self, body: list[ast.stmt]) -> tuple[s.Statement, ...]:
        found: list[s.Statement] = []
        for place, node in enumerate(body):
            above = []
            line = node.lineno - 2
            while line >= 0 and self.text[line].strip().startswith("#"):
                above.insert(0, s.Comment(self.text[line].strip()[2:]))
                line -= 1
            definition = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if place and not definition and not self.text[line].strip():
                found.append(s.Blank())
            found += above
            found.append(self.statement(node))
        return tuple(found)

    def _comment(self, node: ast.stmt) -> str | None:
        rest = self.text[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
        return rest.strip()[2:] or None

    def statement(self, node: ast.stmt) -> s.Statement:
        comment = self._comment(node)
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=items)], value=value):
                return s.Assign(
                    tuple(map(expression_of, items)), expression_of(value), comment
                )
            case ast.Assign(targets=[target], value=value):
                return s.Assign((expression_of(target),), expression_of(value), comment)
            case ast.Expr(value=value):
                return s.Evaluate(expression_of(value), comment)
            case ast.Return(value=None):
                return s.Return((), comment)
            case ast.Return(value=ast.Tuple(elts=[_, _, *_] as items)):
                return s.Return(tuple(map(expression_of, items)), comment)
            case ast.Return(value=value):
                return s.Return((expression_of(value),), comment)
            case ast.Raise(exc=value):
                return s.Raise(expression_of(value))
            case ast.If(test=test, body=then, orelse=rest):
                return s.If(expression_of(test), self.body(then), self.body(rest))
            case ast.For(target=target, iter=items, body=body):
                return s.For(
                    expression_of(target), expression_of(items), self.body(body)
                )
            case ast.With(items=[item], body=body):
                return s.With(expression_of(item.context_expr), self.body(body))
            case ast.Import(names=[name]):
                return s.Import(name.name, (), name.asname)
            case ast.ImportFrom(module=module, names=names):
                listed = (
                    n.name + (f" as {n.asname}" if n.asname else "") for n in names
                )
                return s.Import(module or "", tuple(listed))
            case ast.FunctionDef(name=name, returns=returns, decorator_list=decorators):
                doc, body = self._doc(node)
                result = None if returns is None else expression_of(returns)
                above = tuple(map(expression_of, decorators))
                arguments = _arguments(node.args)
                return s.Function(name, arguments, result, self.body(body), doc, above)
            case ast.ClassDef(name=name, bases=bases, decorator_list=decorators):
                doc, body = self._doc(node)
                above = tuple(map(expression_of, decorators))
                listed = tuple(map(expression_of, bases))
                return s.Class(name, listed, self.body(body), doc, above)
            case ast.Pass():
                return s.Blank()
        raise ValueError(ast.dump(node))


def _arguments(arguments: ast.arguments) -> tuple[s.Argument, ...]:
    found = []
    missing = len(arguments.args) - len(arguments.defaults)
    defaults = [None] * missing + list(arguments.defaults)
    for argument, value in zip(arguments.args, defaults, strict=True):
        found.append(_argument(argument, value))
    if arguments.vararg is not None:
        found.append(_argument(arguments.vararg, None, "*"))
    elif arguments.kwonlyargs:
        found.append(s.Argument("", kind="*"))
    for argument, value in zip(
        arguments.kwonlyargs, arguments.kw_defaults, strict=True
    ):
        found.append(_argument(argument, value))
    if arguments.kwarg is not None:
        found.append(_argument(arguments.kwarg, None, "**"))
    return tuple(found)


def _argument(argument: ast.arg, value: ast.expr | None, kind: str = "") -> s.Argument:
    annotation = (
        None if argument.annotation is None else expression_of(argument.annotation)
    )
    default = None if value is None else expression_of(value)
    return s.Argument(argument.arg, annotation, default, kind)


_WORDS = ("x", "y", "self", "batch", "time", "heads", "layer_norm", "hidden_states")
_LONG = (
    "scaled_dot_product_attention",
    "kernel_initializer",
    "input_projection_weight",
)
_BINARY = ("+", "-", "*", "/", "//", "%", "**", "@", "&", "|")
_TESTS = ("==", "!=", "<", "<=", "in", "not in", "is", "is not", "and", "or")


class Maker:
    """Random trees from a seed, long enough to need several lines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def name(self) -> e.Expr:
        return e.Name(self.word())

    def word(self) -> str:
        return self.random.choice(_WORDS + _LONG)

    def atom(self) -> e.Expr:
        choices = (
            self.name,
            self.name,
            self.name,
            lambda: e.Literal(self.random.choice((0, 1, -1, 1e-5, True, None, 50257))),
            lambda: e.Literal(
                self.random.choice(("a", 'say "so"', "it's", "words " * 9))
            ),
            lambda: e.FString(
                ("size is ", e.Name("time"), ", at most ", e.Name("batch"))
            ),
        )
        return self.random.choice(choices)()

    def expression(self, depth: int) -> e.Expr:
        if depth <= 0:
            return self.atom()
        pick = self.random.random()
        if pick < 0.5:
            return self.link(depth)
        if pick < 0.75:
            return self.operation(depth)
        return self.other(depth)

    def link(self, depth: int) -> e.Expr:
        base = self.name() if self.random.random() < 0.8 else self.expression(depth - 1)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3))):
            pick = self.random.random()
            if pick < 0.5:
                base = e.Attribute(base, self.word())
            if pick < 0.85:
                base = self.call(base, depth)
            elif pick < 0.95:
                base = e.Subscript(base, self.subscript(depth))
        return base

    def call(self, base: e.Expr, depth: int) -> e.Expr:
        if self.random.random() < 0.05:
            return e.Call(base, (self.generator(depth, "call"),))
        count = self.random.choice((0, 1, 1, 2, 3))
        arguments = [self.expression(depth - 1) for _ in range(count)]
        words = self.random.sample(_WORDS + _LONG, self.random.choice((0, 0, 1, 2)))
        keywords = [(word, self.expression(depth - 1)) for word in words]
        if self.random.random() < 0.1:
            arguments.append(e.Star(self.name(), True))
        return e.Call(base, tuple(arguments), tuple(keywords))

    def generator(self, depth: int, kind: str) -> e.Expr:
        target = self.random.choice(
            (e.Name("i"), e.Display("tuple", (e.Name("i"), e.Name("j"))))
        )
        return e.Generator(
            self.expression(depth - 1), target, self.expression(depth - 1), kind
        )

    def subscript(self, depth: int) -> e.Expr:
        part = self.slice if self.random.random() < 0.6 else self.expression
        if self.random.random() < 0.5:
            return part(depth - 1)
        items = [e.Ellipsis_(), part(depth - 1), self.slice(depth - 1)]
        return e.Display("tuple", tuple(items[self.random.choice((0, 1)) :]))

    def slice(self, depth: int) -> e.Expr:
        parts = [
            self.expression(depth) if self.random.random() < 0.5 else None
            for _ in range(3)
        ]
        if self.random.random() < 0.7:
            parts[2] = None
        return e.Slice(*parts)

    def operation(self, depth: int) -> e.Expr:
        pool = _BINARY if self.random.random() < 0.7 else _TESTS
        tree = self.expression(depth - 1)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            tree = e.Binary(self.random.choice(pool), tree, self.expression(depth - 1))
        return tree

    def other(self, depth: int) -> e.Expr:
        pick = self.random.randrange(6)
        if pick == 0:
            return e.Unary(self.random.choice(("-", "~", "not")), self.name_or(depth))
        if pick == 1:
            return e.Choice(*(self.expression(depth - 1) for _ in range(3)))
        if pick == 2:
            return self.generator(depth, "list")
        count = self.random.choice((1, 2, 3))
        items = tuple(self.expression(depth - 1) for _ in range(count))
        if pick == 3:
            keys = (*self.random.sample(_WORDS, count - 1), None)
            return e.Dict(tuple(zip(keys, items, strict=True)))
        return e.Display(self.random.choice(("tuple", "list")), items)

    def name_or(self, depth: int) -> e.Expr:
        tree = self.expression(depth - 1)
        return e.Attribute(tree, "shape") if isinstance(tree, e.Literal) else tree

    def statement(self, depth: int) -> s.Statement:
        pick = self.random.randrange(12)
        size = self.random.choice((1, 2, 2, 3))
        comment = self.random.choice((None, None, "each [B, heads, T, width / heads]"))
        if pick < 5:
            return s.Assign((self.target(),), self.expression(size), comment)
        if pick == 5:
            names = [e.Name(name) for name in self.random.sample(_WORDS, 3)]
            return s.Assign(tuple(names), self.expression(size), comment)
        if pick == 6:
            values = tuple(
                self.expression(size) for _ in range(self.random.choice((1, 2, 3)))
            )
            return s.Return(values, comment)
        if pick == 7:
            return s.Evaluate(self.call(self.name(), size), comment)
        if pick == 8:
            return s.Raise(self.call(e.Name("ValueError"), size))
        return self.block(depth, size)

    def target(self) -> e.Expr:
        return self.random.choice(
            (self.name(), e.Attribute(e.Name("self"), self.word()))
        )

    def block(self, depth: int, size: int) -> s.Statement:
        body = self.body(depth - 1)
        pick = self.random.randrange(3) if depth > 0 else 3
        if pick == 0:
            return s.For(e.Name("i"), self.expression(size), body)
        if pick == 1:
            return s.With(self.call(self.name(), size), body)
        if pick == 2:
            return s.If(self.expression(size), body, self.body(depth - 1))
        return s.Comment("The next line is about something else.")

    def body(self, depth: int) -> tuple[s.Statement, ...]:
        if depth < 0:
            return (s.Return(()),)
        found: list[s.Statement] = []
        for _ in range(self.random.choice((1, 2, 3))):
            found.append(self.statement(depth))
            if self.random.random() < 0.2:
                found.append(s.Blank())
        return tuple(found)

    def function(self, indent: int) -> s.Function:
        words = self.random.sample(
            _WORDS[:2] + _WORDS[3:] + _LONG, self.random.choice((0, 1, 3, 6))
        )
        arguments = [s.Argument("self")] if indent else []
        for word in words:
            annotation = self.random.choice((None, e.Name("int"), e.Name("Tensor")))
            arguments.append(s.Argument(word, annotation, e.Literal(1)))
        if self.random.random() < 0.3:
            arguments.append(s.Argument("options", kind="**"))
        pair = e.Subscript(
            e.Name("tuple"), e.Display("tuple", (e.Name("Tensor"), e.Name("Tensor")))
        )
        returns = self.random.choice((None, e.Name("Tensor"), pair))
        doc = self.random.choice((None, "What it gives.", "One line.\n\nAnd more."))
        return s.Function(self.word(), tuple(arguments), returns, self.body(2), doc)

    def file(self) -> s.File:
        body: list[s.Statement] = [
            s.Import("torch.nn", (), "nn"),
            s.Import("torch", ("Tensor",)),
        ]
        for _ in range(3):
            body.append(self.function(0))
        methods = (self.function(1), self.function(1))
        bases = (e.Attribute(e.Name("nn"), "Module"),)
        body.append(
            s.Class("Block", bases, methods, self.random.choice((None, "A block.")))
        )
        body.append(self.statement(0))
        return s.File("A file.", tuple(body))
