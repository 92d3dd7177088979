"""Expressions as documents, with the line breaks that ruff would choose.

A `level` says what stands around an expression: OPEN if a line must not break there,
INSIDE within a bracket, or the number of an optional bracket, which is printed only if
the line has to break.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence

from nnspec.pycode import inert
from nnspec.pycode.expressions import (
    Attribute,
    Binary,
    Call,
    Choice,
    Default,
    Dict,
    Display,
    Ellipsis_,
    Expr,
    FString,
    Generator,
    Literal,
    Name,
    Size,
    Slice,
    Star,
    Subscript,
    Unary,
)
from nnspec.pycode.layout import (
    SOFT,
    SPACE,
    Bracketed,
    Document,
    Group,
    If,
    Indent,
    Printer,
)
from nnspec.pycode.structure import (
    CHOICE,
    Part,
    base,
    chain,
    check_depth,
    operand,
    operator_level,
    part,
)

OPEN = -1
INSIDE = -2
_KEYS = itertools.count()


def new_key() -> int:
    """A number for an optional bracket."""
    return next(_KEYS)


def name(text: str) -> str:
    """A checked identifier."""
    return Name(text).id


def is_default(value: Expr) -> bool:
    """Whether a keyword can be left out, since the target's default is the same."""
    if not isinstance(value, Default):
        return False
    if isinstance(value.value, Literal):
        given: object = value.value.value
    elif isinstance(value.value, Size) and value.value.dim.is_constant:
        given = value.value.dim.constant
    else:
        return False
    same_type = type(given) is type(value.default)
    return same_type and repr(given) == repr(value.default)


def prepared(expr: Expr) -> Expr:
    """The expression without placeholders that have an obvious spelling.

    Raises TypeError for one that a generator must have replaced.
    """
    check_depth(expr)
    return _prepared(expr)


def _prepared(expr: Expr) -> Expr:
    if isinstance(expr, Binary):
        return _prepared_chain(expr)
    if isinstance(expr, Default):
        return _prepared(expr.value)
    if isinstance(expr, Size) and expr.dim.is_constant:
        return Literal(expr.dim.constant)
    if isinstance(expr, Call):
        kept = tuple(
            (key, value) for key, value in expr.keywords if not is_default(value)
        )
        expr = Call(expr.function, expr.arguments, kept)
    if type(expr) not in _FORMS:
        raise TypeError(f"a {type(expr).__name__} was left in a program to be written")
    children = expr.children
    return expr.rebuilt([_prepared(child) for child in children]) if children else expr


def _prepared_chain(expr: Expr) -> Expr:
    """A chain that leans to the left, without recursion along it."""
    rights: list[tuple[str, Expr]] = []
    while isinstance(expr, Binary):
        rights.append((expr.operator, expr.right))
        expr = expr.left
    result = _prepared(expr)
    for operator, right in reversed(rights):
        result = Binary(operator, result, _prepared(right))
    return result


def bracketed(left: str, content: Document, right: str, level: int) -> Document:
    """Content in brackets, which may break without need of any other."""
    group = Group([left, Indent([SOFT, content]), SOFT, right])
    return Bracketed(group, level) if level >= 0 else group


def joined(items: Sequence[Document], always: bool = False) -> list[Document]:
    """Items with commas; a last one where lines break, if there are several."""
    parts: list[Document] = []
    for number, item in enumerate(items):
        parts += [",", SPACE, item] if number else [item]
    if always or len(items) > 1:
        parts.append(If(","))
    return parts


def inner(this: Part, level: int, fluent: bool | None = None) -> Document:
    """A part, in parentheses where it needs them."""
    if this.wrapped:
        return bracketed("(", document(this.expr, INSIDE), ")", level)
    return document(this.expr, level, fluent)


def document(expr: Expr, level: int, fluent: bool | None = None) -> Document:
    """An expression without parentheses of its own."""
    if isinstance(expr, Attribute | Call | Subscript):
        return _link(expr, level, fluent)
    form = _FORMS.get(type(expr))
    if form is None:
        raise TypeError(f"a {type(expr).__name__} was left in a program to be written")
    return form(expr, level)


def _break(level: int, flat: str) -> Document:
    if level == OPEN:
        return flat
    line = SPACE if flat else SOFT
    if level == INSIDE:
        return line
    return [If(line, key=level), If(flat, broken=False, key=level)]


def _within(content: Document, level: int) -> Document:
    if level == OPEN:
        return content
    return Group(content, only_within=level if level >= 0 else None)


def links(expr: Expr) -> Part:
    """The object before the last link of a chain of calls, attributes, subscripts."""
    if isinstance(expr, Call):
        return base(expr.function)
    if isinstance(expr, Attribute | Subscript):
        return base(expr.object)
    raise TypeError(f"a {type(expr).__name__} is no link")


def is_fluent(expr: Expr) -> bool:
    """Whether a chain has two attributes of calls or subscripts: one line for each."""
    count = 0
    while isinstance(expr, Attribute | Call | Subscript):
        before = links(expr)
        if isinstance(expr, Attribute):
            count += before.wrapped or isinstance(before.expr, Call | Subscript)
        if before.wrapped:
            break
        expr = before.expr
    return count > 1


def _link(
    expr: Attribute | Call | Subscript, level: int, fluent: bool | None
) -> Document:
    root = fluent is None
    if fluent is None:
        fluent = level != OPEN and is_fluent(expr)
    before = links(expr)
    passed = fluent if isinstance(before.expr, Attribute | Call | Subscript) else None
    parts: list[Document] = [inner(before, level, None if before.wrapped else passed)]
    if isinstance(expr, Call):
        parts.append(_arguments(expr, level))
    elif isinstance(expr, Subscript):
        parts.append(bracketed("[", _subscript(expr.subscript), "]", level))
    else:
        if fluent and (before.wrapped or isinstance(before.expr, Call | Subscript)):
            parts.append(SOFT)
        parts.append("." + name(expr.name))
    return Group(parts) if root and fluent else parts


def _arguments(call: Call, level: int) -> Document:
    if not call.arguments and not call.keywords:
        return "()"
    spread: list[Expr] = []
    sole = len(call.arguments) == 1 and not call.keywords
    if sole and isinstance(call.arguments[0], Generator):
        items = [document(call.arguments[0], INSIDE)]
    else:
        spread = [each for each in call.arguments if _is_double(each)]
        plain = [each for each in call.arguments if not _is_double(each)]
        items = items_of(plain)
    items += [
        [name(key) + "=", inner(_item(value), INSIDE)] for key, value in call.keywords
    ]
    items += items_of(spread)
    return bracketed("(", Group(joined(items)), ")", level)


def _is_double(expr: Expr) -> bool:
    return isinstance(expr, Star) and expr.double


def _item(expr: Expr) -> Part:
    """An element of a bracket: all but a bare generator stands there as it is."""
    return Part(expr, isinstance(expr, Generator) and expr.kind == "call")


def items_of(items: Sequence[Expr]) -> list[Document]:
    """Elements of a bracket as documents."""
    return [inner(_item(item), INSIDE) for item in items]


def _subscript(subscript: Expr) -> Document:
    if (
        isinstance(subscript, Display)
        and subscript.kind == "tuple"
        and len(subscript.items) > 1
    ):
        return Group(joined(items_of(subscript.items)))
    return inner(_item(subscript), INSIDE)


def _slice(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Slice):
        raise TypeError("no slice")
    simple = all(_simple(child) for child in expr.children)
    space = "" if simple else " "
    parts: list[Document] = []
    if expr.start is not None:
        parts += [document(expr.start, level), space]
    parts.append(":")
    if expr.stop is not None:
        parts += [space, document(expr.stop, level)]
    if expr.step is not None:
        parts += [space if expr.stop is not None else "", ":", space]
        parts.append(document(expr.step, level))
    return parts


def _simple(expr: Expr) -> bool:
    if isinstance(expr, Unary):
        return expr.operator != "not" and _simple(expr.operand)
    return isinstance(expr, Name | Literal) and "float(" not in str(_text(expr))


def _text(expr: Expr) -> str:
    if isinstance(expr, Name):
        return name(expr.id)
    if isinstance(expr, Literal):
        return inert.literal(expr.value)
    return "..."


def _plain(expr: Expr, level: int) -> Document:
    return _text(expr)


def _star(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Star):
        raise TypeError("no star")
    return ["**" if expr.double else "*", inner(part(expr.value, 5), level)]


def _display(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Display):
        raise TypeError("no display")
    items = items_of(expr.items)
    left, right = {"tuple": "()", "list": "[]", "set": "{}"}[expr.kind]
    if not items:
        if expr.kind == "set":
            raise TypeError("an empty set has no display")
        return left + right
    if expr.kind == "tuple" and len(items) == 1:
        return bracketed(left, [items[0], ","], right, level)
    return bracketed(left, joined(items), right, level)


def _dict(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Dict):
        raise TypeError("no dict")
    entries: list[Document] = []
    for key, value in expr.entries:
        spelled = "**" if key is None else inert.string(key) + ": "
        least = 5 if key is None else CHOICE
        wrapped = Part(value, part(value, least).wrapped or _item(value).wrapped)
        entries.append(Group([spelled, inner(wrapped, INSIDE)]))
    return bracketed("{", joined(entries), "}", level) if entries else "{}"


def _unary(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Unary) or expr.operator not in ("-", "+", "~", "not"):
        raise TypeError("no unary operator")
    sign = "not " if expr.operator == "not" else expr.operator
    return [sign, inner(operand(expr), level)]


def _choice(expr: Expr, level: int) -> Document:
    parts: list[Document] = []
    while isinstance(expr, Choice):
        parts += [
            inner(part(expr.then, 1), level),
            _break(level, " "),
            "if ",
            inner(part(expr.condition, 1), level),
            _break(level, " "),
            "else ",
        ]
        expr = expr.otherwise
    return _within([*parts, inner(_item(expr), level)], level)


def _generator(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Generator):
        raise TypeError("no generator")
    target = expr.target
    targets = target.items if isinstance(target, Display) else (target,)
    names = ", ".join(flat(item) for item in targets)
    names += "," if isinstance(target, Display) and len(targets) == 1 else ""
    loop: Document = ["for ", names, " in ", inner(part(expr.iterable, 1), INSIDE)]
    content = Group([Group(inner(_item(expr.element), INSIDE)), SPACE, loop])
    return bracketed("[", content, "]", level) if expr.kind == "list" else content


def _fstring(expr: Expr, level: int) -> Document:
    if not isinstance(expr, FString):
        raise TypeError("no f-string")
    texts = "".join(piece for piece in expr.parts if isinstance(piece, str))
    quote = "'" if texts.count('"') > texts.count("'") else '"'
    pieces: list[str] = []
    for piece in expr.parts:
        if isinstance(piece, str):
            doubled = piece.replace("{", "{{").replace("}", "}}")
            pieces.append(inert.string_body(doubled, quote))
            continue
        code = flat(piece)
        if "\\" in code or quote in code or code[0] in "{" or "#" in code:
            raise TypeError("an f-string holds an expression that needs a name first")
        pieces.append("{" + code + "}")
    return "f" + quote + "".join(pieces) + quote


def _simple_power(this: Part) -> bool:
    expr = this.expr
    if this.wrapped:
        return False
    while isinstance(expr, Attribute) or (
        isinstance(expr, Unary) and expr.operator != "not"
    ):
        expr = expr.object if isinstance(expr, Attribute) else expr.operand
    if isinstance(expr, Literal):
        return not isinstance(expr.value, str) and "(" not in inert.literal(expr.value)
    return isinstance(expr, Name)


def _binary(expr: Expr, level: int) -> Document:
    if not isinstance(expr, Binary):
        raise TypeError("no binary operator")
    found, operators = chain(expr)
    return _within(_operations(found, operators, level), level)


def _operations(found: list[Part], operators: list[str], level: int) -> Document:
    """The weakest operators split first, all of them or none."""
    if not operators:
        return inner(found[0], level)
    ranks = [_rank(operator) for operator in operators]
    weakest = min(ranks)
    places = [place for place, rank in enumerate(ranks) if rank == weakest]
    parts: list[Document] = []
    start = 0
    for place in [*places, len(operators)]:
        side = _operations(found[start : place + 1], operators[start:place], level)
        parts.append(_within(side, level) if place > start else side)
        if place == len(operators):
            break
        tight = operators[place] == "**" and _simple_power(found[place])
        tight = tight and _simple_power(found[place + 1])
        after: Document = If(" ", key=level if level >= 0 else None) if tight else " "
        if tight and level == OPEN:
            after = ""
        parts += [_break(level, "" if tight else " "), operators[place], after]
        start = place + 1
    return parts


def _rank(operator: str) -> int:
    return 1 if operator in ("and", "or") else operator_level(operator)


def flat(expr: Expr) -> str:
    """An expression on one line, however long."""
    laid_out = document(expr, OPEN)
    if isinstance(laid_out, str):
        return laid_out
    return Printer(sys.maxsize, 0).print(laid_out)[0]


_FORMS: dict[type[Expr], Callable[[Expr, int], Document]] = {
    Name: _plain,
    Literal: _plain,
    Ellipsis_: _plain,
    Star: _star,
    Slice: _slice,
    Display: _display,
    Dict: _dict,
    Unary: _unary,
    Binary: _binary,
    Choice: _choice,
    Generator: _generator,
    FString: _fstring,
    Attribute: _plain,
    Call: _plain,
    Subscript: _plain,
}
