"""A whole emitted file: imports, helpers, classes, factories."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from nnspec.analysis.analysis import Analysis
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.graph import Program
from nnspec.ir.unheeded import unheeded
from nnspec.pycode import expressions as tree
from nnspec.pycode import safety, statements, writer
from nnspec.pycode.expressions import Literal, Name
from nnspec.records import dataclass
from nnspec.targets.distinct import require_distinct
from nnspec.targets.layout import Permutation, layouts
from nnspec.targets.merging.planner import Planner
from nnspec.targets.names import function_name, helper_texts, safe_local
from nnspec.targets.plan import ClassPlan
from nnspec.targets.probes import Probed, Probes
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.classes import (
    factory_arguments,
    factory_name,
    write_factory,
)


@dataclass(frozen=True)
class Emitted:
    """An emitted program and what one must know to use it: the order of axes of its inputs and outputs,
    the logical axis at each physical place.
    """

    source: str
    factory: str
    inputs: tuple[tuple[str, Permutation], ...]
    outputs: tuple[tuple[str, Permutation], ...]


_IMPORTS = {
    "torch": {
        "torch": statements.Import("torch"),
        "F": statements.Import("torch.nn.functional", alias="F"),
        "Tensor": statements.Import("torch", ("Tensor",)),
        "nn": statements.Import("torch", ("nn",)),
        "checkpoint": statements.Import("torch.utils.checkpoint", ("checkpoint",)),
    },
    "keras": {
        "keras": statements.Import("keras"),
        "initializers": statements.Import("keras", ("initializers",)),
        "layers": statements.Import("keras", ("layers",)),
        "ops": statements.Import("keras", ("ops",)),
    },
}


@dataclass(frozen=True)
class Engine:
    """What a file holds beside its models: statements that run them, and what these need.

    `imports` are by the name that they bind, `modules` are those that may be imported, `exported` the
    names that users want, `header` a sentence on how the file is used. `classes` are tables of the
    classes of functions, given by their keys. Where the models are parts of one, `whole` names it.
    """

    statements: tuple[statements.Statement, ...]
    imports: Mapping[str, statements.Import]
    modules: frozenset[str]
    exported: tuple[str, ...]
    header: str
    classes: Mapping[str, Sequence[str]] = field(
        default_factory=dict[str, Sequence[str]]
    )
    whole: str = ""


_ABSTRACT = ("Callable", "Iterable", "Mapping", "Sequence")
_ALLOWED = {
    "torch": {
        "collections.abc",
        "math",
        "torch",
        "torch.nn",
        "torch.nn.functional",
        "torch.utils.checkpoint",
    },
    "keras": {"collections.abc", "math", "keras"},
}


def emit_programs(
    programs: Sequence[Program], target: str, engine: Engine | None = None
) -> str:
    """The file of one or several variants, with what runs them on several devices, if anything.

    Raises `SpecError` for what the target cannot express.
    """
    text = _text(programs, _made(programs, target, engine), target, engine)
    safety.check(text, set(), _ALLOWED[target] | (engine.modules if engine else set()))
    return text


def emit_probed(program: Program, target: str) -> Probed:
    """The file of one variant with a probe around every result (see `probes`)."""
    probes = Probes()
    body = probes.body(_made([program], target))
    return Probed(_text([program], body, target), tuple(probes.shown))


def _made(
    programs: Sequence[Program], target: str, engine: Engine | None = None
) -> list[statements.Statement]:
    """The whole file but for its header."""
    for program in programs:
        for function in program.functions.values():
            require_distinct(function, target)
    planner, plans, body = _written(programs, target)
    made = [
        *(plan.name for plan in plans),
        *(factory_name(program) for program in programs),
    ]
    names = list(dict.fromkeys((*made, *(engine.exported if engine else ()))))
    helpers = _helpers(body, target)
    whole: list[statements.Statement] = [*helpers, *body]
    whole += [*_class_tables(planner, engine), *engine.statements] if engine else ()
    table = {**_IMPORTS[target], **(engine.imports if engine else {})}
    return [*_imports(whole, names, table), *whole]


def _class_tables(planner: Planner, engine: Engine) -> Iterator[statements.Statement]:
    """Which classes the functions of a table became, each once."""
    for table, keys in engine.classes.items():
        found = planner.class_of.items()
        classes = dict.fromkeys(plan.name for (_, key), plan in found if key in keys)
        shown = tree.Display("tuple", tuple(Name(name) for name in classes))
        yield statements.Assign((Name(table),), shown)


def _text(
    programs: Sequence[Program],
    body: Sequence[statements.Statement],
    target: str,
    engine: Engine | None = None,
) -> str:
    header = _header(programs, target, engine)
    file = statements.File(header, tuple(body))
    try:
        return writer.write(file)
    except writer.TooDeep as error:
        raise SpecError(
            "E0602",
            f"Python could not read the {target} program: {error}",
            programs[0].main.location,
            hint="nest fewer loops and conditions in one another; blocks take them apart",
        ) from None


def _written(
    programs: Sequence[Program], target: str
) -> tuple[Planner, list[ClassPlan], list[statements.Statement]]:
    """The classes and factories."""
    planner, plans, classes = _with_names(programs, target)
    return planner, plans, [*classes, *_factories(planner, plans, programs)]


def planned(program: Program, target: str) -> Planner:
    """Which classes the file of one variant has. Raises `SpecError` for what the target cannot express."""
    return _with_names([program], target)[0]


def _with_names(
    programs: Sequence[Program], target: str
) -> tuple[Planner, list[ClassPlan], list[statements.Statement]]:
    """The classes; blocks whose sizes find no names are written out as they are."""
    plain: frozenset[str] = frozenset()
    while True:
        planner = Planner(programs, target, plain)
        plans = planner.plan()
        try:
            return planner, plans, _classes(planner, plans, programs, target)
        except _Nameless as error:
            name = error.plan.function.name
            if name not in plain:
                plain |= {name}
                continue
            raise SpecError(
                "E0602",
                f"a size of this model (`{error.size}`) has no name in the {target} program",
                error.plan.function.location,
                hint="this is a limit of nnspec: simplify the model, and report it",
            ) from None


class _Nameless(Exception):
    """A class speaks of a size that has no name in it."""

    def __init__(self, plan: ClassPlan, size: str) -> None:
        super().__init__(size)
        self.plan = plan
        self.size = size


def _classes(
    planner: Planner,
    plans: Sequence[ClassPlan],
    programs: Sequence[Program],
    target: str,
) -> list[statements.Statement]:
    """The classes. Raises `_Nameless`."""
    body: list[statements.Statement] = []
    functional = _functional(plans) if target == "keras" else []
    for plan in functional:
        plan.name = planner.names.free(_function_name(plan, programs))
    for plan in plans:
        write = _write_function if plan in functional else _write_class
        try:
            body.append(write(plan, programs[0], target))
        except Unspellable as error:
            raise _Nameless(plan, str(error)) from None
    return body


def _factories(
    planner: Planner, plans: Sequence[ClassPlan], programs: Sequence[Program]
) -> Iterator[statements.Statement]:
    functional = _functional(plans) if planner.target == "keras" else []
    for place, program in enumerate(programs):
        plan = planner.class_of[place, program.entry]
        write = _write_own_factory if plan in functional else write_factory
        factory = write(program, plan, _factory_doc(program))
        if factory is not None:
            yield factory


# A program of one target is written without loading the other's writers.


def _functional(plans: Sequence[ClassPlan]) -> list[ClassPlan]:
    """The models of Keras that are written as functions."""
    from nnspec.targets.keras_functional import is_functional

    return [plan for plan in plans if is_functional(plan)]


def _write_function(
    plan: ClassPlan, program: Program, target: str
) -> statements.Statement:
    from nnspec.targets.keras_functional import write_function

    return write_function(plan)


def _write_class(
    plan: ClassPlan, program: Program, target: str
) -> statements.Statement:
    if target == "torch":
        import nnspec.targets.torch as torch

        return torch.write_class(plan)
    import nnspec.targets.keras as keras

    stem = program.source_name.rpartition("/")[2].partition(".")[0]
    package = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem)
    return keras.write_class(plan, f"nnspec.{package}")


def _write_own_factory(
    program: Program, plan: ClassPlan, doc: str
) -> statements.Statement | None:
    from nnspec.targets.keras_functional import write_factory

    return write_factory(program, plan, doc)


def _function_name(plan: ClassPlan, programs: Sequence[Program]) -> str:
    """The function of a model; another name than that of a factory that calls it with constants."""
    name = safe_local(function_name(plan.function.name), "keras")
    called = any(
        factory_name(program) == name and factory_arguments(program, plan)
        for program in programs
    )
    return f"{name}_model" if called else name


def emitted(program: Program, target: str) -> Emitted:
    """One variant, with the orders of axes of its tensors."""
    source = emit_programs([program], target)
    found = layouts(program, moved=target == "keras")
    main, layout = program.main, found[program.entry]
    inputs = tuple(
        (port.name, layout.values[port.values])
        for port in main.inputs
        if isinstance(port.values, int)
    )
    outputs = tuple(
        (port.name, layout.values[port.values])
        for port in main.outputs
        if isinstance(port.values, int)
    )
    return Emitted(source, factory_name(program), inputs, outputs)


def is_function(program: Program) -> bool:
    """Whether the Keras model is made by a function, so that its name stands in no variable's path."""
    planner, _, _ = _written([program], "keras")
    return bool(_functional([planner.class_of[0, program.entry]]))


def _header(programs: Sequence[Program], target: str, engine: Engine | None) -> str:
    file = programs[0].source_name.rpartition("/")[2]
    whole = engine.whole if engine else ""
    names = whole or ", ".join(program.name for program in programs)
    doc = programs[0].doc or programs[0].main.doc or whole or programs[0].name
    text = f"{doc.strip()}\n\nGenerated by nnspec from {file}:{names}; edit the spec instead."
    idle = {name for program in programs for name in unheeded(program, target)}
    if whole:
        idle.discard("@device")  # Plans of stages heed it.
    if idle:
        text += f"\nWithout effect here: {', '.join(sorted(idle))}."
    return f"{text}\n\n{engine.header}" if engine else text


def _factory_doc(program: Program) -> str:
    analysis = Analysis(program.computed_once())
    parameters, trainable, flops = map(
        analysis.figure, ("parameters", "trainable", "flops")
    )
    parts = [f"{_grouped(parameters)} parameters"]
    if trainable != parameters:
        parts[0] += f", {_grouped(trainable)} of them trained"
    if flops != 0:
        parts.append(_flops(flops))
    return "; ".join(parts) + "."


def _grouped(value: Dim) -> str:
    return f"{int(value):,}" if value.is_constant else str(value)


def _flops(value: Dim) -> str:
    """`8.18 GFLOPs a sample` where they grow with the batch alone, else the formula."""
    each = value.at({"B": 1})
    if each.is_constant and value == symbol("B") * each:
        size, unit = float(int(each)), ""
        for unit in ("", "K", "M", "G", "T", "P"):
            if size < 1000 or unit == "P":
                break
            size /= 1000
        return f"{size:.3g} {unit}FLOPs a sample"
    text = str(value)
    return (
        f"{text} FLOPs"
        if len(text) <= 90
        else "FLOPs grow with the sizes of the inputs"
    )


# ---- imports and helpers ----------------------------------------------------------------------------


def _names_in(body: Sequence[statements.Statement]) -> set[str]:
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, statements.Verbatim):
            found |= {
                n.id
                for n in ast.walk(ast.parse(statement.text))
                if isinstance(n, ast.Name)
            }
            continue
        for root in statements.expressions_of(statement):
            found |= {part.id for part in tree.walk(root) if isinstance(part, Name)}
    return found


def _helpers(
    body: Sequence[statements.Statement], target: str
) -> list[statements.Statement]:
    """The helpers that the classes call, and those that these call, in the order of their file."""
    texts = helper_texts(target)
    known = set(texts)
    wanted = _names_in(body) & known
    while True:
        more = {n for name in wanted for n in _mentioned(texts[name]) & known} | wanted
        if more == wanted:
            break
        wanted = more
    return [statements.Verbatim(text) for name, text in texts.items() if name in wanted]


def _mentioned(text: str) -> set[str]:
    return {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}


def _imports(
    body: Sequence[statements.Statement],
    names: Sequence[str],
    table: Mapping[str, statements.Import],
) -> list[statements.Statement]:
    used = _names_in(body)
    found: list[statements.Statement] = [
        statements.Import("__future__", ("annotations",))
    ]
    standard: list[statements.Statement] = []
    if "math" in used:
        standard.append(statements.Import("math"))
    abstract = tuple(name for name in _ABSTRACT if name in used)
    if abstract:
        standard.append(statements.Import("collections.abc", abstract))
    found.extend((statements.Blank(), *standard) if standard else ())
    found.append(statements.Blank())
    grouped: dict[str, list[str]] = {}
    whole = [table[name] for name in table if name in used]
    for statement in sorted(whole, key=lambda each: each.module):
        if statement.names:
            grouped.setdefault(statement.module, []).extend(statement.names)
        else:
            found.append(statement)
    for module, taken in grouped.items():
        found.append(statements.Import(module, tuple(sorted(taken, key=_import_order))))
    exported = tree.Display(
        "list", tuple(Literal(name) for name in sorted(names, key=_export_order))
    )
    found.append(statements.Assign((Name("__all__"),), exported))
    return found


def _import_order(name: str) -> tuple[bool, str]:
    return (not name[:1].isupper(), name)


def _export_order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)
