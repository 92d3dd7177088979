"""Figures as formulas alone: in constants of the model, as text, LaTeX, Python or JavaScript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from nnspec.analysis.formula.tree import Number
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.at_one import Cases
    from nnspec.analysis.figures import Figure, Measured
    from nnspec.analysis.formula.source import Definition
    from nnspec.analysis.formula.tree import Formula
    from nnspec.analysis.generic.closed import ClosedForms
    from nnspec.ir.dims import Dim
    from nnspec.spec import Spec

FORMATS = ("text", "latex", "python", "javascript")
EVERY = "all"


@dataclass(frozen=True)
class Formulas:
    """The figures of one model as formulas, and what they hold for; `left_out` are those nobody asked for."""

    spec: Spec
    title: str
    figures: Sequence[Figure]
    values: Sequence[Measured]
    forms: ClosedForms | None
    left_out: Sequence[Figure] = ()
    # By figure, products of open sizes that must not be 1, and what it is where they are.
    apart: Mapping[str, Sequence[Dim]] = field(
        default_factory=dict[str, Sequence["Dim"]]
    )
    cases: Mapping[str, Cases] = field(default_factory=dict[str, "Cases"])

    @staticmethod
    def of(
        spec: Spec,
        title: str,
        analysis: Analysis,
        figures: Sequence[Figure],
        constants: str | None,
        *,
        unasked: bool,
    ) -> Formulas:
        """The formulas of figures in sizes, and in constants if there are any (`all`, or their names).

        Figures that have none are said to be so. Raises `SpecError` for a constant that has none, and where no
        figure has any.
        """
        if constants is None:
            values = [analysis.at(each.name, spec.symbols) for each in figures]
            formulas = Formulas(spec, title, figures, values, None)
            return formulas._with_sizes_of_one(analysis)
        from nnspec.analysis.generic.closed import closed_forms

        wanted = [each for each in figures if not (unasked and each.whole is not None)]
        names = None
        if constants != EVERY:
            from nnspec.cli.arguments import listed

            names = listed("--in", constants)
        asked = [each.name for each in wanted]
        made = spec.program_with
        forms = closed_forms(analysis, asked, names, optional=asked, made=made)
        if forms.unsaid and not forms.figures:
            raise next(iter(forms.unsaid.values()))
        said = [each for each in wanted if each.name in forms.figures]
        values = [forms.figures[each.name].at(spec.symbols) for each in said]
        left_out = [each for each in figures if each not in wanted]
        apart = {
            name: [size.at(spec.symbols) for size in found]
            for name, found in forms.apart.items()
        }
        return Formulas(spec, title, said, values, forms, left_out, apart)

    def _with_sizes_of_one(self, analysis: Analysis) -> Formulas:
        """The same with what figures are where open sizes are 1, if it is something else."""
        from nnspec.analysis.at_one import cases, differing, products_of

        given, names = self.spec.symbols, [each.name for each in self.figures]
        apart = {name: differing(analysis, name, given) for name in names}
        found = {
            name: cases(analysis, ones, given, lambda at, name=name: at.figure(name))
            for name, ones in apart.items()
            if ones
        }
        products = {name: products_of(ones) for name, ones in apart.items()}
        return replace(self, apart=products, cases=found)

    # ---- what they hold for ------------------------------------------------------------------

    def conditions(self) -> list[str]:
        """What the formulas hold for, each a comparison of the language."""
        if self.forms is None:
            return []
        return [*self._equal(self.forms.fixed), *map(str, self.forms.conditions)]

    def conditions_of(self, figure: str) -> list[str]:
        """What one figure needs besides."""
        if self.forms is None:
            return []
        return [*self._equal(self.forms.kept.get(figure, ())), *self._holds(figure)]

    def _holds(self, figure: str) -> list[str]:
        """What constants and sizes have to be for one figure besides."""
        from nnspec.analysis.at_one import conditions

        sizes = conditions(self.apart.get(figure, ()))
        forms = () if self.forms is None else self.forms.besides.get(figure, ())
        return [*map(str, forms), *sizes]

    def _equal(self, names: Iterable[str]) -> list[str]:
        assert self.forms is not None
        return [f"{name} == {self.forms.constants[name]}" for name in names]

    def unsaid(self) -> dict[str, str]:
        """Why figures that were asked for have no formula, by their names."""
        if self.forms is None:
            return {}
        found = self.forms.unsaid.items()
        return {name: error.diagnostic.message for name, error in found}

    def remarks(self) -> list[str]:
        """The same for a person, with the reasons."""
        if self.forms is None:
            return self._where([])
        found = [
            f"{name} stays {self.forms.constants[name]}: {because}"
            for name, because in self.forms.fixed.items()
        ]
        found += self._kept()
        found += self._where(
            [*map(str, self.forms.conditions), *self.forms.multiples()]
        )
        found += self.unsaid().values()
        if self.left_out:
            names = ",".join(each.name for each in self.left_out)
            found.append(
                f"memory has conditions of its own: ask with --figures {names}"
            )
        return found

    def _kept(self) -> list[str]:
        """Constants that stay numbers in some figures alone."""
        if self.forms is None:
            return []
        found: dict[tuple[str, str], list[str]] = {}
        for figure in self.figures:
            reasons: dict[str, list[str]] = {}
            for name, because in self.forms.kept.get(figure.name, {}).items():
                value = self.forms.constants[name]
                reasons.setdefault(because, []).append(f"{name} stays {value}")
            for because, names in reasons.items():
                found.setdefault((", ".join(names), because), []).append(figure.title)
        return [
            f"{names} in {', '.join(figures)}: {because}"
            for (names, because), figures in found.items()
        ]

    def _where(self, shared: Sequence[str]) -> list[str]:
        """What the figures hold for: all of them (what is `shared` among it), and some alone."""
        own = {each.title: self._holds(each.name) for each in self.figures}
        first, *others = own.values() or [[]]
        common = [each for each in first if all(each in other for other in others)]
        found: dict[str, list[str]] = {}
        for title, holds in own.items():
            rest = ", ".join(each for each in holds if each not in common)
            found.setdefault(rest, []).append(title)
        every = ", ".join([*shared, *common])
        return [
            *([f"holds where {every}"] if every else []),
            *(
                f"holds for {', '.join(titles)} where {rest}"
                for rest, titles in found.items()
                if rest
            ),
        ]

    # ---- formats -----------------------------------------------------------------------------

    def as_object(self) -> dict[str, Any]:
        """The figures by name, and what they hold for."""
        found: dict[str, Any] = {"name": self.spec.name}
        for figure, value in zip(self.figures, self.values, strict=True):
            known = value.for_program()
            found[figure.name] = (
                known if value.is_known else " ".join(self._lines(value))
            )
        if self.forms is None:
            alone = {each.name: self._holds(each.name) for each in self.figures}
            if any(alone.values()):
                found["holds_where"] = {n: holds for n, holds in alone.items() if holds}
        else:
            found["constants"] = dict(self.forms.constants)
            found["holds_where"] = self.conditions()
            besides = {
                each.name: self.conditions_of(each.name) for each in self.figures
            }
            besides = {name: holds for name, holds in besides.items() if holds}
            if besides:
                found["holds_where_besides"] = besides
            if self.forms.unsaid:
                found["unsaid"] = self.unsaid()
        return found

    def as_text(self) -> str:
        """A line for each figure, one for each way in which it grows."""
        from nnspec.cli.shown.text import visible
        from nnspec.cli.shown.wrapping import line_width, wrapped, wrapped_words

        width = max((len(each.title) for each in self.figures), default=0)
        lines = [visible(self._heading()), ""]
        room = line_width() - width - 2
        for figure, value in zip(self.figures, self.values, strict=True):
            found = (wrapped(line, room) for line in self._shown(value))
            first, *rest = (line for lines in found for line in lines)
            lines.append(f"{figure.title:{width}}  {visible(first)}")
            lines += (f"{'':{width}}  {visible(line)}" for line in rest)
        remarks = [
            visible(line)
            for remark in self.remarks()
            for line in wrapped_words(remark, line_width())
        ]
        return "\n".join([*lines, *([""] if remarks else []), *remarks, ""])

    def _heading(self) -> str:
        if self.forms is None:
            return self.title
        return f"{self.title}  in {', '.join(self.forms.names()) or 'no constants'}"

    def _shown(self, value: Measured) -> list[str]:
        """The lines of a figure for a person: of a maximum that which is usually largest first."""
        from nnspec.analysis.formula.notation import Notation
        from nnspec.cli.shown.maxima import maximum

        if value.below != 1:
            return self._lines(value)
        constants = {} if self.forms is None else dict(self.forms.constants)
        shown = maximum(
            value.value,
            self.spec.program,
            constants,
            lambda part: Notation().write(self._formula(part)),
        )
        return self._lines(value) if shown is None else [shown]

    def _lines(self, value: Measured) -> list[str]:
        """A line for each way in which a figure grows, with the sign before it."""
        from nnspec.analysis.formula.growth import growths
        from nnspec.analysis.formula.notation import Notation

        notation = Notation()
        if value.below != 1:
            parts = (self._formula(value.value), self._formula(value.below))
            return [notation.ratio(*map(notation.write, parts))]
        found = growths(value.value, self.spec.program.symbols)
        first, *rest = [each.formula for each in found] or [Number(0)]
        return [notation.write(first), *(notation.signed(each) for each in rest)]

    def _formula(self, value: Any) -> Formula:
        from nnspec.analysis.formula.growth import grouped

        return grouped(value, self.spec.program.symbols)

    def as_latex(self) -> str:
        """An equation for each figure."""
        from nnspec.analysis.formula.notation import Latex

        notation = Latex()
        rows: list[str] = []
        for figure, value in zip(self.figures, self.values, strict=True):
            text = notation.write(self._formula(value.value))
            if value.below != 1:
                text = notation.ratio(text, notation.write(self._formula(value.below)))
            title = figure.title.replace("_", "\\_").replace("'", "\\textquotesingle ")
            rows.append(f"\\text{{{title}}} &= {text}")
        remarks = "".join(f"% {remark}\n" for remark in self.remarks())
        body = " \\\\\n".join(rows)
        return f"% {self.title}\n{remarks}\\begin{{align*}}\n{body}\n\\end{{align*}}\n"

    def definitions(self, prefix: str) -> list[Definition]:
        """The figures as functions, all of the same arguments: sizes first."""
        from nnspec.analysis.formula.source import Definition, arguments_of

        formulas = [self._formula(value.value) for value in self.values]
        belows = [
            None if value.below == 1 else self._formula(value.below)
            for value in self.values
        ]
        cases = [
            tuple(
                (tuple(sorted(ones)), self._formula(there))
                for ones, there in self.cases.get(figure.name, {}).items()
            )
            for figure in self.figures
        ]
        every = [*formulas, *(each for each in belows if each is not None)]
        every += [formula for each in cases for _, formula in each]
        arguments = arguments_of(every, self.spec.program.symbols)
        return [
            Definition(
                f"{prefix}{figure.name}",
                formula,
                arguments,
                f"{figure.title} of {self.spec.name}: {figure.convention}.",
                (*self.conditions_of(figure.name), *self.conditions()),
                below,
                own,
            )
            for figure, formula, below, own in zip(
                self.figures, formulas, belows, cases, strict=True
            )
        ]


def rendered(found: Sequence[Formulas], notation: str) -> str:
    """The formulas of models in a notation; functions of several models are told apart by name."""
    if notation == "text":
        return "\n".join(each.as_text() for each in found)
    if notation == "latex":
        return "\n".join(each.as_latex() for each in found)
    from nnspec.analysis.formula.source import javascript_source, python_source
    from nnspec.cli.shown.text import visible
    from nnspec.ops.base import snake_case

    definitions = [
        definition
        for each in found
        for definition in each.definitions(
            f"{snake_case(each.spec.name)}_" if len(found) > 1 else ""
        )
    ]
    write = python_source if notation == "python" else javascript_source
    mark = "#" if notation == "python" else "//"
    notes = [
        f"{mark} {visible(why)}\n" for each in found for why in each.unsaid().values()
    ]
    return "".join([*notes, *(["\n"] if notes else []), write(definitions)])
