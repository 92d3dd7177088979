"""The blocks and layers of a program by their paths, as the modules of an emitted model are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnspec.ir.graph import Function, Path, Program, dotted


def instances(program: Program) -> Iterator[tuple[str, Function]]:
    """The instances of functions below the main function, by their paths."""
    waiting = [("", program.main)]
    while waiting:
        prefix, function = waiting.pop()
        seen: set[str] = set()
        for node in function.nodes:
            path = f"{prefix}{dotted(node.path)}"
            if node.callee is not None and path not in seen:
                seen.add(path)
                callee = program.functions[node.callee]
                yield path, callee
                waiting.append((f"{path}.", callee))


def module_paths(program: Program) -> Iterator[str]:
    """The paths of everything that has weights, functions and layers."""
    for prefix, function in (("", program.main), *instances(program)):
        for node in function.nodes:
            if node.owns:
                path = dotted(node.path)
                yield f"{prefix}.{path}" if prefix else path


def blocks_of(programs: Sequence[Program]) -> Iterator[str]:
    """The blocks that models run in loops, by the keys of their functions.

    All specialisations of such a block are among them, in all stages of a pipeline: the engine knows blocks
    by their classes, and one class stands for several of them.
    """
    functions = [f for program in programs for f in program.functions.values()]
    known = {function.key: function for function in functions}
    turned = {
        (known[node.callee].name, known[node.callee].location)
        for function in functions
        for node in function.nodes
        if node.callee is not None and node.owns and _is_turn(node.path)
    }
    for key, function in known.items():
        if (function.name, function.location) in turned:
            yield key


def _is_turn(path: Path) -> bool:
    return any(isinstance(part, int) for part in path)
