"""Codes E09xx: figures of cost, what they assume, devices."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0901",
        "an operator without a rule for a cost",
        "Each operator says itself what it takes. One that does not say it is an error, "
        "since counting it as nothing would make every total wrong. Add the rule to its class.",
        "",
        "",
    ),
    Explanation(
        "E0902",
        "an unknown assumption",
        "A figure of memory or time assumes number formats, an optimizer, a kind of attention "
        "kernel; each has a few known names.",
        "",
        "",
    ),
    Explanation(
        "E0903",
        "a figure that has no parts",
        "A peak is not the sum of the peaks of the parts, and a ratio is no sum either. Such "
        "figures are given for the whole model.",
        "",
        "",
    ),
    Explanation(
        "E0904",
        "an unknown figure",
        "`nnspec cost --help` lists the figures that there are.",
        "",
        "",
    ),
)
