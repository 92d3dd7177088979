"""Figures as source text that runs: one function for each, in Python or JavaScript, exact at any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnspec.analysis.formula.notation import JavaScript, Notation, Python, lines_of
from nnspec.analysis.formula.tree import Formula, Name, Sum, names_of
from nnspec.records import dataclass

_LINE = 88


@dataclass(frozen=True)
class Definition:
    """A figure to be written as a function: its name, formula, arguments in order, and what it is.

    With `below`, the figure is the quotient of two formulas. `conditions` are texts of the language under
    which all this holds. Where some arguments are 1, it is another formula (`cases`, most such arguments first).
    """

    name: str
    formula: Formula
    arguments: tuple[str, ...]
    doc: str
    conditions: tuple[str, ...] = ()
    below: Formula | None = None
    cases: tuple[tuple[tuple[str, ...], Formula], ...] = ()


def python_source(definitions: Sequence[Definition]) -> str:
    """Functions of Python that take integers (and lists of them) and give an integer."""
    return "\n\n".join(_python_function(each) for each in definitions)


def javascript_source(definitions: Sequence[Definition]) -> str:
    """Functions of JavaScript that take BigInts (and arrays of them) and give a BigInt."""
    functions = (_javascript_function(each) for each in definitions)
    return "\n".join((JavaScript.PRELUDE, *functions))


def _python_function(definition: Definition) -> str:
    notation = Python()
    lists = {name.name for name in names_of(definition.formula) if name.places}
    arguments = ", ".join(
        f"{_argument(notation, name)}: {'list[int]' if name in lists else 'int'}"
        for name in definition.arguments
    )
    doc = _documentation(definition)
    result = "int" if definition.below is None else "float"
    body = "".join(
        f"    if {' and '.join(f'{_argument(notation, n)} == 1' for n in ones)}:\n"
        f"        return {notation.write(formula)}\n"
        for ones, formula in definition.cases
    ) + _returned(notation, definition)
    return f'def {definition.name}({arguments}) -> {result}:\n    """{doc}"""\n{body}\n'


def _argument(notation: Notation, name: str) -> str:
    return notation.name(Name(name))


def _documentation(definition: Definition) -> str:
    if not definition.conditions:
        return definition.doc
    lines = "".join(f"\n    {each}" for each in definition.conditions)
    return f"{definition.doc}\n\n    Holds where{lines}\n    "


def _returned(notation: Notation, definition: Definition) -> str:
    """`return ...`, a sum that is too long for a line with a line for each term."""
    formula = definition.formula
    line = f"    return {notation.write(formula)}"
    if definition.below is not None:
        above, below = notation.write(formula), notation.write(definition.below)
        return f"    return {notation.ratio(above, below)}"
    if len(line) <= _LINE or not isinstance(formula, Sum):
        return line
    inner = "".join(f"        {line}\n" for line in lines_of(notation, formula))
    return f"    return (\n{inner}    )"


def _javascript_function(definition: Definition) -> str:
    notation = JavaScript()
    arguments = ", ".join(_argument(notation, name) for name in definition.arguments)
    comment = " ".join([definition.doc, *definition.conditions]).replace("*/", "* /")
    body = "".join(
        f"    if ({' && '.join(f'{_argument(notation, n)} === 1n' for n in ones)})"
        f" return {notation.write(formula)};\n"
        for ones, formula in definition.cases
    ) + _returned(notation, definition)
    return (
        f"/** {comment} */\nfunction {definition.name}({arguments}) {{\n{body};\n}}\n"
    )


def arguments_of(formulas: Iterable[Formula], order: Sequence[str]) -> tuple[str, ...]:
    """The names that any of the formulas needs: those of `order` first, then the rest."""
    used = {name.name: None for formula in formulas for name in names_of(formula)}
    first = [name for name in order if name in used]
    return (*first, *(name for name in used if name not in first))
