"""Diagnostics for a program: JSON, workflow commands of GitHub, SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from nnspec.cli.shown.text import encodable, shortened, visible
from nnspec.diagnostics import Diagnostic, Severity
from nnspec.source import Location

Json = dict[str, Any]

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(diagnostics: Iterable[Diagnostic]) -> list[Json]:
    """Each finding as an object; a place is file, line, column and their ends."""
    return [
        {
            "code": found.code,
            "severity": found.severity.value,
            "message": encodable(found.message),
            "location": place_json(found.location) if found.location else None,
            "labels": [
                {"location": place_json(label.location), "text": encodable(label.text)}
                for label in found.labels
            ],
            "hint": encodable(found.hint) if found.hint else None,
        }
        for found in diagnostics
    ]


def place_json(place: Location) -> Json:
    """A place; lines and columns count from 1, the end is the first one after it."""
    line, column = place.source.position(place.span.start)
    end_line, end_column = place.source.position(place.span.end)
    return {
        "file": encodable(place.source.name),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def as_github(diagnostics: Iterable[Diagnostic]) -> str:
    """One workflow command a finding, which GitHub shows beside the changed line."""
    return "".join(f"{_workflow_command(found)}\n" for found in diagnostics)


def _workflow_command(found: Diagnostic) -> str:
    properties: dict[str, object] = {}
    if found.location is not None:
        place = place_json(found.location)
        properties["file"] = place["file"]
        properties["line"] = place["line"]
        properties["col"] = place["column"]
        properties["endLine"] = place["end_line"]
        properties["endColumn"] = place["end_column"]
    properties["title"] = found.code
    listed = ",".join(
        f"{name}={_escape_property(str(value))}" for name, value in properties.items()
    )
    hint = f" ({found.hint})" if found.hint else ""
    message = _escape_data(shortened(found.message + hint))
    return f"::{found.severity.value} {listed}::{message}"


def _escape_data(text: str) -> str:
    kept = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return visible(kept)


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(diagnostics: Sequence[Diagnostic], version: str) -> Json:
    """A SARIF log with one run."""
    rules = sorted({found.code for found in diagnostics})
    driver: Json = {
        "name": "nnspec",
        "version": version,
        "rules": [{"id": code} for code in rules],
    }
    run: Json = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(found, rules) for found in diagnostics],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _sarif_result(found: Diagnostic, rules: list[str]) -> Json:
    hint = f"\nhint: {found.hint}" if found.hint else ""
    result: Json = {
        "ruleId": found.code,
        "ruleIndex": rules.index(found.code),
        "level": "error" if found.severity is Severity.ERROR else "warning",
        "message": {"text": encodable(found.message + hint)},
    }
    if found.location is not None:
        result["locations"] = [{"physicalLocation": _physical(found.location)}]
    if found.labels:
        result["relatedLocations"] = [
            {
                "physicalLocation": _physical(label.location),
                "message": {"text": encodable(label.text)},
            }
            for label in found.labels
        ]
    return result


def _physical(place: Location) -> Json:
    found = place_json(place)
    return {
        "artifactLocation": {"uri": quote(found["file"])},
        "region": {
            "startLine": found["line"],
            "startColumn": found["column"],
            "endLine": found["end_line"],
            "endColumn": found["end_column"],
        },
    }
