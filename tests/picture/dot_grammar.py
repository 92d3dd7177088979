"""A reader of DOT, after its published grammar: raises ValueError for what Graphviz would refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|(?P<string>"(?:[^"\\]|\\.)*")|(?P<id>[A-Za-z_][A-Za-z_0-9]*)"""
    r"""|(?P<mark>->|[{}\[\];=,])""",
    re.DOTALL,
)


@dataclass
class Dot:
    """What a file says: labels of nodes and of edges, clusters by their labels."""

    nodes: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    clusters: dict[str, str] = field(default_factory=dict)


def read(text: str) -> Dot:
    return _Reader(text).graph()


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"not DOT: {text[at : at + 40]!r}")
            if match.lastgroup:
                self.tokens.append(match[0])
            at = match.end()
        self.at = 0
        self.found = Dot()

    def graph(self) -> Dot:
        self._take("digraph")
        self._name()
        self._statements("")
        if self.at != len(self.tokens):
            raise ValueError("there is more after the graph")
        return self.found

    def _statements(self, cluster: str) -> None:
        self._take("{")
        while self._peek() != "}":
            self._statement(cluster)
        self._take("}")

    def _statement(self, cluster: str) -> None:
        name = self._name()
        if name == "subgraph":
            self._statements(self._name())
            return
        if name in ("graph", "node", "edge"):
            options = self._options()
            if name == "graph" and cluster:
                self.found.clusters[cluster] = options["label"]
        elif self._peek() == "->":
            self._take("->")
            target = self._name()
            self.found.edges.append((name, target, self._options()["label"]))
        else:
            self.found.nodes[name] = self._options()["label"]
        self._take(";")

    def _options(self) -> dict[str, str]:
        found: dict[str, str] = {}
        self._take("[")
        while self._peek() != "]":
            key = self._name()
            self._take("=")
            found[key] = self._name()
            if self._peek() == ",":
                self._take(",")
        self._take("]")
        return found

    def _name(self) -> str:
        token = self.tokens[self.at]
        if token in "{}[];=,->":
            raise ValueError(f"a name is missing before {token}")
        self.at += 1
        if not token.startswith('"'):
            return token
        text = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], token[1:-1])
        return unescape(text)

    def _take(self, token: str) -> None:
        if self._peek() != token:
            raise ValueError(f"{token} is missing before {self._peek()}")
        self.at += 1

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""
