"""Random specs: small, valid for the most part, and full of names that change their meaning.

What is generated is drawn from what code generation finds hard: names that are bound again, values that
are needed after their name has moved on, loops whose turns differ, conditions that go both ways,
specialisations of one block, shared layers, lists that grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecErrors
from nnspec.source import Source
from nnspec.spec import Spec

VARIANTS = ("First", "Second")
# Sizes that loops double and add may grow beyond what is worth running.
MOST_PARAMETERS = 1_000_000

NAMES = ("x", "y", "z", "h", "skip", "channels", "features")


@dataclass(frozen=True)
class Signature:
    """How a block is called: its name, its optional input, its number of results."""

    name: str
    optional: bool
    several: bool
    results: int


@dataclass
class Scope:
    """What may be named at a place."""

    tensors: list[str]
    integers: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    # Lists of layers, and the loop variables that are an index of any.
    pools: list[str] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    depth: int = 0
    in_loop: bool = False
    growing: list[str] = field(default_factory=list)

    def inner(self) -> Scope:
        """The scope of a body inside."""
        return Scope(
            list(self.tensors),
            list(self.integers),
            list(self.conditions),
            list(self.lists),
            list(self.instances),
            list(self.pools),
            list(self.turns),
            self.depth + 1,
            self.in_loop,
            list(self.growing),
        )


class Writer:
    """Writes one file. Where it `counts`, loops carry integers, too."""

    def __init__(self, seed: int, *, counts: bool = False) -> None:
        self.counts = counts
        self.random = Random(seed)
        self.image = self.random.random() < 0.3
        self.lines: list[str] = []
        self.blocks: list[Signature] = []
        self.indent = 0
        self.labels = 0
        self.statements = 0
        self.kind = "block"
        self.results = 1

    # ---- the file ----

    def text(self) -> str:
        """The whole file."""
        self.line("fn mixed(a: [*S], b: [*S]) -> [*S] {")
        self.line("  a = tanh(a) - b")
        self.line("  return a + b * 0.5")
        self.line("}")
        self.line("fn wider(k: int, more: bool = true) -> int {")
        self.line("  return (k + 1 if more else k)")
        self.line("}")
        for number in range(self.random.randint(1, 3)):
            self.block(number)
        self.model()
        return "\n".join(self.lines) + "\n"

    def line(self, text: str) -> None:
        self.lines.append("  " * self.indent + text)

    @contextmanager
    def body(self, head: str) -> Iterator[None]:
        self.line(head + " {")
        self.indent += 1
        yield
        self.indent -= 1
        self.line("}")

    def shape(self, width: str) -> str:
        return f"[B, {width}, H, W]" if self.image else f"[B, {width}]"

    def block(self, number: int) -> None:
        name = f"Part{number}"
        optional, several = self.chance(0.3), self.chance(0.25)
        signature = Signature(name, optional, several, 2 if self.chance(0.25) else 1)
        tensors = f"xs: list[{self.shape('_')}]" if several else f"x: {self.shape('C')}"
        extra = f", opt: {self.shape('_')} = none" if optional else ""
        constants = "w: int, n: int = 2, flag: bool = false, rate: float = 0.1, ws: list[int] = [3, 2]"
        self.kind, self.results, self.statements = "block", signature.results, 0
        integers = ["w", "n", "len(ws)", "ws[0]", *([] if several else ["C"])]
        conditions = [
            "flag",
            "not flag",
            "w > 3",
            "n == 2",
            "rate > 0.05",
            "len(ws) > 1",
        ]
        if optional:
            conditions += ["opt != none"]
        with self.body(f"block {name}({tensors}{extra}, {constants})"):
            scope = Scope(["x"], integers, conditions, ["ws"])
            if several:
                axis = self.random.choice(["", "1"])
                self.line("x = concat(xs, dim=1)" if axis else "x = xs[0]")
            if optional:
                with self.body("if opt != none"):
                    self.line(f"x = concat([x, opt], dim=1) -> {self.layer('w')}")
            self.run(scope, self.random.randint(2, 6))
            self.give_back(scope)
        self.blocks.append(signature)

    def give_back(self, scope: Scope) -> None:
        values = [self.value(scope) for _ in range(self.results)]
        self.line(f"return {', '.join(values)}")

    def model(self) -> None:
        self.kind, self.statements = "model", 0
        with self.body("model Net(k: int = 4, deep: int = 2, on: bool = true)"):
            size = ", 5, 6]" if self.image else "]"
            self.line(f"input x: [B, 3{size}")
            tensors = ["x"]
            if self.chance(0.4):
                self.line(f"input z: [B, {self.random.choice([3, 5])}{size}")
                tensors.append("z")
            conditions = ["on", "k > 4", "deep == 2", "not on"]
            scope = Scope(tensors, ["k", "deep"], conditions)
            self.run(scope, self.random.randint(3, 7))
            for number in range(self.random.choice([1, 1, 2])):
                self.line(f"output out{number} = {self.value(scope)}")
        self.line("variant First = Net()")
        self.line("variant Second = Net(k=5, deep=3, on=false)")

    # ---- statements ----

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def run(self, scope: Scope, count: int) -> None:
        for _ in range(count):
            if self.statements > 26:
                return
            self.statements += 1
            self.statement(scope)

    def statement(self, scope: Scope) -> None:
        kinds = {
            self.bind: 8,
            self.alias: 3,
            self.swap: 1,
            self.call: 4 if self.blocks else 0,
            self.pair: 1,
            self.shared: 1,
            self.pool: 1,
            self.grow: 1,
            self.comprehension: 1,
            self.parameter: 1,
        }
        if scope.depth < 3:
            kinds |= {self.choose: 5, self.loop: 4}
        if self.kind == "block" and not scope.in_loop and scope.depth < 2:
            kinds |= {self.early: 1}
        (chosen,) = self.random.choices(list(kinds), list(kinds.values()))
        chosen(scope)

    def bind(self, scope: Scope) -> None:
        self.set(scope, self.target(), self.value(scope))

    def set(self, scope: Scope, name: str, value: str) -> None:
        self.line(f"{name} = {value}")
        self.bound(scope, name)

    def bound(self, scope: Scope, *names: str) -> None:
        for name in names:
            if name not in scope.tensors:
                scope.tensors.append(name)

    def target(self) -> str:
        return self.random.choice(NAMES)

    def tensor(self, scope: Scope) -> str:
        return self.random.choice(scope.tensors)

    def alias(self, scope: Scope) -> None:
        self.set(scope, self.target(), self.tensor(scope))

    def swap(self, scope: Scope) -> None:
        if len(scope.tensors) > 1:
            one, other = self.random.sample(scope.tensors, 2)
            self.line(f"{one}, {other} = {other}, {one}")

    def call(self, scope: Scope) -> None:
        block = self.random.choice(self.blocks)
        given = [self.integer(scope)]
        for name, value in (
            ("n", self.random.choice(["1", "2", "3"])),
            ("flag", self.random.choice(["true", "false", self.condition(scope)])),
            ("rate", self.random.choice(["0.0", "0.2"])),
            ("ws", self.random.choice(["[4]", "[2, 3]", "[5, 2, 3]", "[]"])),
        ):
            if self.chance(0.4):
                given.append(f"{name}={value}")
        if block.optional and self.chance(0.5):
            given.append(f"opt={self.tensor(scope)}")
        source = self.tensor(scope)
        if block.several:
            listed = [self.tensor(scope) for _ in range(self.random.choice([1, 2]))]
            source = f"[{', '.join([source, *listed])}]"
        names = [self.target()]
        while len(names) < block.results:
            names = list(dict.fromkeys([*names, self.target()]))
        self.line(
            f"{', '.join(names)} = {source} -> {self.label()}{block.name}({', '.join(given)})"
        )
        self.bound(scope, *names)

    def pair(self, scope: Scope) -> None:
        names = self.random.sample(NAMES, 2)
        axes = "h w" if self.image else ""
        pattern = f'"b (n d) {axes} -> n b d {axes}"'.replace(' "', '"').replace(
            "  ", " "
        )
        width = self.integer(scope)
        self.line(
            f"{names[0]}, {names[1]} = {self.tensor(scope)} -> {self.layer(f'2 * ({width})')}"
            f" -> rearrange({pattern}, n=2) -> unstack(dim=0)"
        )
        self.bound(scope, *names)

    def shared(self, scope: Scope) -> None:
        name = f"shared{self.labels}"
        self.labels += 1
        self.line(f"{name} = {self.layer('4')}")
        self.line(
            f"{self.target_in(scope)} = ({self.value(scope)}) -> {self.layer('3')} -> {name}"
        )
        scope.instances.append(name)

    def pool(self, scope: Scope) -> None:
        """A list of layers, and a loop over it or over some of it."""
        name = f"pool{self.labels}"
        self.labels += 1
        self.line(f"{name} = [{self.layer('4')} for _ in range(4)]")
        scope.pools.append(name)
        for _ in range(self.random.randint(1, 2)):
            self.through(scope, name)

    def through(self, scope: Scope, name: str) -> None:
        """A loop that applies layers of a list."""
        bound = self.random.choice(["1", "2", "3", "4", *scope.integers[-1:]])
        head, layer = self.random.choice(
            [
                (f"for p in range({bound})", f"{name}[p]"),
                (f"for p in range({bound})", f"{name}[p]"),
                (f"for p in range({bound})", f"{name}[p % 2]"),
                (f"for p in range({bound})", f"{name}[{self.random.randint(0, 3)}]"),
                (f"for l in {name}", "l"),
                (f"for p, l in enumerate({name})", "l"),
            ]
        )
        with self.body(head):
            target = self.target_in(scope)
            self.line(
                f"{target} = {self.tensor(scope)} -> {self.layer('3')} -> {layer}"
            )

    def target_in(self, scope: Scope) -> str:
        name = self.target()
        self.bound(scope, name)
        return name

    def grow(self, scope: Scope) -> None:
        name = f"list{self.labels}"
        self.labels += 1
        self.line(f"{name} = [{self.tensor(scope)}]")
        variable = f"i{scope.depth}"
        with self.body(f"for {variable} in range({self.random.randint(0, 3)})"):
            inner = scope.inner()
            inner.in_loop = True
            self.loop_names(inner, variable)
            self.run(inner, self.random.randint(0, 2))
            new = self.value(inner)
            self.line(
                self.random.choice(
                    [f"{name} = {name} + [{new}]", f"{name} = [{new}] + {name}"]
                )
            )
        self.set(scope, self.target(), f"concat({name}, dim=1)")

    def comprehension(self, scope: Scope) -> None:
        source = self.tensor(scope)
        over = self.random.choice(["[2, 3]", "range(1, 3)", *scope.lists])
        self.set(
            scope,
            self.target(),
            f"concat([{source}] + [{source} -> {self.label()}{self.layer('q')} for q in {over}], dim=1)",
        )

    def parameter(self, scope: Scope) -> None:
        source = self.tensor(scope)
        rest = ", 1, 1" if self.image else ""
        size = f"[shape({source})[1]{rest}]"
        self.set(
            scope, self.target(), f"{source} + Param({size}, init=init.normal(1.0))"
        )

    def choose(self, scope: Scope) -> None:
        outer = list(scope.tensors)
        with self.body(f"if {self.condition(scope)}"):
            inner = scope.inner()
            self.run(inner, self.random.randint(1, 3))
        if self.chance(0.4):
            self.lines[-1] += (
                f" else if {self.condition(scope)} {{"
                if self.chance(0.3)
                else " else {"
            )
            self.indent += 1
            self.run(scope.inner(), self.random.randint(1, 2))
            self.indent -= 1
            self.line("}")
        scope.tensors = outer

    def early(self, scope: Scope) -> None:
        with self.body(f"if {self.condition(scope)}"):
            inner = scope.inner()
            self.run(inner, self.random.randint(0, 2))
            self.give_back(inner)

    def loop(self, scope: Scope) -> None:
        variable = self.random.choice([f"i{scope.depth}", f"i{scope.depth}", "_"])
        bound = self.random.choice(["1", "2", "3", "0", *scope.integers[:2]])
        forms = [f"for {variable} in range({bound})"] * 3
        element = f"e{scope.depth}"
        for listed in [*scope.lists, "[2, 4]", "[3, 3]"]:
            forms.append(f"for {element} in {listed}")
            forms.append(f"for {variable}, {element} in enumerate({listed})")
        forms.append(f"for {variable}, {element} in zip(range(2), [4, 3])")
        head = self.random.choice(forms)
        inner = scope.inner()
        inner.in_loop = True
        if element in head:
            inner.integers += [element, element]
            inner.conditions += [f"{element} > 2", f"{element} == 3"]
        if variable != "_" and variable in head:
            self.loop_names(inner, variable)
        counted = self.counted(scope, inner) if self.counts else ""
        goes_on = f"{counted} = {self.course(inner, counted)}" if counted else ""
        first = self.chance(0.4) if goes_on else False
        with self.body(head):
            if goes_on and first:
                self.line(goes_on)
            self.run(inner, self.random.randint(1, 4))
            if goes_on and not first:
                self.line(goes_on)

    def counted(self, scope: Scope, inner: Scope) -> str:
        """The name of an integer that a loop carries, of one before it or a new one."""
        if not self.chance(0.7):
            return ""
        known = [each for each in scope.integers if each.startswith("count")]
        if known and self.chance(0.5):
            name = self.random.choice(known)
        else:
            name = f"count{self.labels}"
            self.labels += 1
            self.line(f"{name} = {self.integer(scope)}")
            scope.integers.append(name)
            inner.integers.append(name)
        inner.integers += [name, name]
        inner.conditions += [f"{name} > 3", f"{name} % 2 == 0"]
        return name

    def course(self, scope: Scope, name: str) -> str:
        """What becomes of an integer in a turn."""
        step = self.random.choice([*scope.turns, *scope.integers, "1", "2"])
        return self.random.choice(
            [
                f"{name} + 1",
                f"{name} + 2",
                f"{name} * 2",
                f"{name} // 2 + 1",
                f"min({name} * 2, 9)",
                f"{name} + ({step})",
                f"({name} + 1 if {self.condition(scope)} else {name})",
                f"{step} + 1",
            ]
        )

    def loop_names(self, scope: Scope, variable: str) -> None:
        scope.integers += [f"{variable} + 1", f"2^{variable}"]
        scope.turns += [variable, f"{variable} % 2"]
        scope.conditions += [
            f"{variable} == 0",
            f"{variable} > 0",
            f"{variable} % 2 == 0",
        ]

    # ---- expressions ----

    def label(self) -> str:
        if self.chance(0.8):
            return ""
        self.labels += 1
        return f"part{self.labels}: "

    def layer(self, width: str) -> str:
        if not self.image:
            return f"Linear({width})"
        kernel = self.random.choice(["1", "3, padding=1"])
        return f"Conv({width}, {kernel})"

    def integer(self, scope: Scope) -> str:
        known = self.random.choice([*scope.integers, "3", "4"])
        forms = [
            known,
            known,
            known,
            f"{known} + 1",
            f"max({known}, 2)",
            f"wider({known})",
        ]
        forms.append(f"({known} if {self.condition(scope)} else 3)")
        forms.append(f"({known}) // 2 + 1")
        return self.random.choice(forms)

    def condition(self, scope: Scope) -> str:
        found = self.random.choice([*scope.conditions, *scope.conditions[-2:]])
        if self.chance(0.15):
            found += f" {self.random.choice(['and', 'or'])} {self.random.choice(scope.conditions)}"
        return found

    def step(self, scope: Scope) -> str:
        return self.random.choice(
            [
                f"{self.label()}{self.layer(self.integer(scope))}",
                f"{self.label()}{self.layer(self.integer(scope))}",
                "relu",
                "tanh",
                "Dropout(rate)" if self.kind == "block" else "Dropout(0.3)",
                "BatchNorm",
            ]
        )

    def value(self, scope: Scope) -> str:
        source = self.tensor(scope)
        other = self.tensor(scope)
        chain = " -> ".join(self.step(scope) for _ in range(self.random.randint(1, 4)))
        same = self.layer(f"shape({source})[1]")
        forms = [
            f"{source} -> {chain}",
            f"{source} -> {chain}",
            f"{source} + ({source} -> {same} -> tanh)",
            f"{source} + ({other} -> {same})",
            f"({other} -> {same}) + {source} + ({source} -> tanh)",
            f"concat([{source}, {other}], dim=1)",
            f"mixed({source}, {other} -> {same})",
            f"{source} * 0.5",
        ]
        for pool in scope.pools:
            index = self.random.choice(
                ["0", "1", "3", "n" if self.kind == "block" else "deep"]
            )
            places = [index, *scope.turns]
            forms.append(
                f"{source} -> {self.layer('3')} -> {pool}[{self.random.choice(places)}]"
            )
        for instance in scope.instances:
            forms.append(f"{source} -> {self.layer('3')} -> {instance}")
            if not self.image:
                forms.append(
                    f"matmul({source} -> Linear(3), transpose({instance}.weight))"
                )
        return self.random.choice(forms)


def random_spec(seed: int, *, counts: bool = False) -> str:
    """A file with blocks, a model `Net`, and two variants of it."""
    return Writer(seed, counts=counts).text()


def random_models(seed: int, *, counts: bool = False) -> list[Spec]:
    """The variants of a random file; none where the file is wrong."""
    text = random_spec(seed, counts=counts)
    try:
        found = load_source(Source("random.nns", text), [*VARIANTS], {})
    except SpecErrors:
        return []
    return [spec for spec in found if spec.cost().parameters <= MOST_PARAMETERS]
