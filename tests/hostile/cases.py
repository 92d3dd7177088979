"""What a hostile case is, and small texts to build them from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One spec. `code` is the exit code of `check`; None where both 0 and 1 will do.

    `shows` is what a rejection must mention (a diagnostic's code).
    """

    name: str
    make: Callable[[], str | bytes]
    code: int | None = None
    shows: str = ""
    settings: tuple[str, ...] = ()
    file: str = "spec.nns"
    emit: bool = True

    def data(self) -> bytes:
        made = self.make()
        return (
            made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass")
        )


@dataclass
class Group:
    """Cases that run in one process."""

    name: str
    cases: list[Case] = field(default_factory=list)

    def add(
        self,
        name: str,
        text: str | bytes | Callable[[], str | bytes],
        **options: object,
    ) -> None:
        make = text if callable(text) else lambda: text
        self.cases.append(Case(name, make, **options))  # type: ignore[arg-type]


def model(
    *lines: str, inputs: str | Iterable[str] = "x: [B, 64]", name: str = "M"
) -> str:
    """A model with these statements."""
    given = [inputs] if isinstance(inputs, str) else inputs
    body = [*(f"input {each}" for each in given), *lines]
    return f"model {name} {{\n" + "".join(f"  {line}\n" for line in body) + "}\n"


FINE = model("output y = x -> Linear(8)")
