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
        "E0910",
        "a cost over budget",
        "`require cost.NAME <= ...` bounds a figure of the whole model. The message says the "
        "figure, the hint which parts take most of it.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  require cost.parameters <= 4K\n"
        "  output y = x -> Linear(64)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  require cost.parameters <= 5K\n"
        "  output y = x -> Linear(64)\n"
        "}\n",
    ),
    Explanation(
        "E0911",
        "a budget that depends on an open size",
        "A budget must hold for all sizes that are known at run time only, or say for which "
        "it is meant.",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  require cost.flops <= 9KFLOPs\n"
        "  output y = x -> Linear(64)\n"
        "}\n",
        "model M {\n"
        "  input x: [B, 64]\n"
        "  require cost.flops(B=1) <= 9KFLOPs\n"
        "  output y = x -> Linear(64)\n"
        "}\n",
    ),
    Explanation(
        "E0904",
        "an unknown figure",
        "`nnspec cost --help` lists the figures that there are.",
        "",
        "",
    ),
)
