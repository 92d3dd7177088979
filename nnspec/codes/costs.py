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
        "E0920",
        "values that cannot be swept over",
        "A constant or size takes the values of a list (`width=256,512`) or of a range "
        "(`depth=6..24`, `width=256..1024..128`), a million points in all at most.",
        "",
        "",
    ),
    Explanation(
        "E0908",
        "a block that cannot be computed again",
        "`--checkpoint` takes names of blocks that the model calls. A block that keeps statistics of "
        "batches is none, since they would be updated twice.",
        "",
        "",
    ),
    Explanation(
        "E0921",
        "a size that is left open",
        "Models can be compared only at known sizes: give each symbolic size of the model a "
        "value or several.",
        "",
        "",
    ),
    Explanation(
        "E0922",
        "a largest value that cannot be solved for",
        "The figure must depend on what is solved for, and never fall while it grows; otherwise "
        "there is no one largest value. `nnspec sweep` tabulates any figure.",
        "",
        "",
    ),
    Explanation(
        "E0923",
        "an amount of memory that cannot be read",
        "Memory is a number with a unit, such as `24GiB` (powers of 1024) or `80GB` (of 1000).",
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
    Explanation(
        "E0905",
        "a constant that no formula can have as a name",
        "Formulas are written in the integers that a model takes as constants, and in the elements "
        "of its lists of integers. Everything else stays as it is.",
        "",
        "",
    ),
    Explanation(
        "E0906",
        "a figure without a formula in constants",
        "Sums over the program have one, and what is composed of them. What comes and goes in memory has "
        "one where the turns of each loop are alike: sizes do not change from turn to turn, and a turn "
        "leaves the memory as it found it, or every two turns do. That takes enough turns to tell. Where turns "
        "differ, the number of turns stays as it is, and the formula is one in the other names. Other figures "
        "that were asked for are still given; it is an error where there are none.",
        "",
        "",
    ),
    Explanation(
        "E0907",
        "a closed form that is not right",
        "Before it is shown, a formula in constants is compared with the number that is counted for "
        "the constants as they are. If they differ, nnspec is wrong.",
        "",
        "",
    ),
)
