"""`nnspec cost --device`: how long a model takes, by part, and what holds it up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nnspec.cli.shown.durations import number, percent_text, seconds_text
from nnspec.cli.shown.parts import part_name, share_bar, unfolded
from nnspec.cli.shown.training import SCALING
from nnspec.records import dataclass

if TYPE_CHECKING:
    from fractions import Fraction

    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.summary import SummaryTree
    from nnspec.analysis.timing.device import Device
    from nnspec.analysis.timing.forecast import Forecast
    from nnspec.analysis.timing.kernels import Mode
    from nnspec.analysis.timing.training import Budget, Training
    from nnspec.spec import Spec

TITLES: Mapping[Mode, str] = {"forward": "forward pass", "training": "training step"}
BOUND = (
    "A bound from below: each operator is one kernel, which reads its inputs and weights from memory "
    "and writes its results there, at full bandwidth and peak rate. Kernels run one after the other."
)
ESTIMATE = (
    "Between: the calibrated time, down and up by the worst error on a model that was left out "
    "of the fit ({worst}; on average {mean})."
)
BACKWARD = (
    "Backward kernels read the gradients that come in and the operands of products, no more; "
    "{optimizer} reads the gradients, and reads and writes weights and states once."
)


@dataclass(frozen=True)
class TimesView:
    """What is shown of one model on one device."""

    spec: Spec
    analysis: Analysis
    device: Device
    budget: Budget | None = None

    @cached_property
    def forecasts(self) -> Mapping[Mode, Forecast]:
        """The forward pass, and the training step where the policy can train."""
        from nnspec.analysis.timing.calibration_file import read_calibration
        from nnspec.analysis.timing.forecast import Forecast
        from nnspec.analysis.timing.kernels import MODES

        kept = read_calibration(self.device)
        modes = MODES if self.analysis.setting.policy.trains else MODES[:1]
        return {
            mode: Forecast(self.analysis, self.device, self.spec.symbols, mode, kept)
            for mode in modes
        }

    @cached_property
    def training(self) -> Training | None:
        """What the budget takes; None without one. Raises `SpecError` where nothing can be trained."""
        from nnspec.analysis.timing.training import training
        from nnspec.diagnostics import SpecError

        if self.budget is None:
            return None
        if "training" not in self.forecasts:
            name = self.analysis.setting.policy.name
            raise SpecError(
                "E1107",
                f"nothing is trained in the policy `{name}`",
                hint="choose another one with `--policy`",
            )
        return training(self.forecasts["training"], self.budget)

    @property
    def parts(self) -> SummaryTree:
        """The parts with their femtoseconds, by mode and bottleneck."""
        from nnspec.analysis.summary import summary

        sums = {
            f"{mode} {bottleneck}": totals
            for mode, forecast in self.forecasts.items()
            for bottleneck, totals in forecast.bound.totals.items()
        }
        return summary(
            self.spec.program,
            self.spec.symbols,
            figures=(),
            analysis=self.analysis,
            more=sums,
        )

    # ---- for programs --------------------------------------------------------------------

    def as_object(self, depth: int) -> dict[str, Any]:
        """Everything as JSON: seconds, what bounds them, what is assumed, the parts."""
        setting = self.analysis.setting
        return {
            "name": self.spec.name,
            "sizes": dict(self.spec.symbols),
            "device": self.device.name,
            "assumes": {
                "policy": setting.policy.name,
                "optimizer": setting.optimizer,
                "attention": setting.attention,
                "dropout": setting.dropout,
                "notes": self.notes,
            },
            **{mode: _object(each) for mode, each in self.forecasts.items()},
            **self._training_object(),
            "parts": [self._part(row) for row, _ in unfolded(self.parts, depth)],
        }

    def _training_object(self) -> dict[str, Any]:
        from nnspec.cli.shown.training import training_object

        found = self.training
        return {} if found is None else {"budget": training_object(found)}

    def _part(self, row: SummaryTree) -> dict[str, Any]:
        times = {
            mode: {
                "at_least_s": number(_seconds(row, mode)),
                "bottleneck": _bottleneck(row, mode),
            }
            for mode in self.forecasts
        }
        return {"path": row.path, "kind": row.kind, "count": row.count, **times}

    # ---- for people ----------------------------------------------------------------------

    def as_text(self, depth: int) -> str:
        """The times, what bounds them, the parts with their shares, and what is assumed."""
        from textwrap import fill

        from nnspec.cli.shown.text import visible
        from nnspec.cli.shown.wrapping import line_width

        notes = [
            fill(note, width=min(96, line_width()), subsequent_indent="  ")
            for note in self.notes
        ]
        table = [self._parts_table(depth)] if depth else []
        title = f"{visible(self._title())}\n"
        whole = [self._whole(), *self._training_text()]
        return "\n".join([title, *whole, *table, *notes, ""])

    def _training_text(self) -> list[str]:
        from nnspec.cli.shown.training import training_text

        power = self.device.power.text if self.device.power else None
        found = self.training
        return [] if found is None else [training_text(found, power)]

    def _title(self) -> str:
        sizes = [f"{name}={size}" for name, size in self.spec.symbols.items()]
        policy = self.analysis.setting.policy.name
        return "  ".join([self.spec.name, *sizes, policy, f"on {self.device.title}"])

    def _whole(self) -> str:
        from nnspec.cli.render import table

        headings = ["", "at least", "compute", "memory", "launch", "of the peak"]
        rows = [_row(mode, each) for mode, each in self.forecasts.items()]
        if any(each.fit is not None for each in self.forecasts.values()):
            headings += ["calibrated", "between"]
            told = map(_estimated, self.forecasts.values())
            rows = [[*row, *more] for row, more in zip(rows, told, strict=True)]
        return table(headings, rows, numeric=tuple(range(1, len(headings))))

    @property
    def notes(self) -> list[str]:
        """What the times assume."""
        setting = self.analysis.setting
        found = [BOUND]
        if setting.policy.name == "fp32" and "tf32" in self.device.rates():
            found.append("Products of float32 in float32: TensorFloat-32 is off.")
        if "training" in self.forecasts:
            found.append(BACKWARD.format(optimizer=setting.optimizer))
        if self.device.launch is None:
            found.append(
                f"Nobody has published what a launch takes on {self.device.name}: 0."
            )
        for mode, each in self.forecasts.items():
            if each.fit is not None:
                worst, mean = each.fit.worst_error, each.fit.mean_error
                told = ESTIMATE.format(worst=f"{worst:.1%}", mean=f"{mean:.1%}")
                found.append(f"{TITLES[mode].capitalize()}. {told}")
        if self.budget is not None:
            found.append(SCALING)
        return found

    def _parts_table(self, depth: int) -> str:
        from nnspec.cli.render import table
        from nnspec.cli.shown.gathering import gathered

        last: Mode = list(self.forecasts)[-1]
        whole = self.forecasts[last].bound.seconds
        rows: list[list[str]] = []
        for row, level in unfolded(gathered(self.parts), depth):
            times = [_seconds(row, mode) for mode in self.forecasts]
            name, bound = part_name(row, level), _bottleneck(row, last)
            texts = map(seconds_text, times)
            rows.append([name, row.kind, *texts, bound, _share(times[-1], whole)])
        step = self.forecasts[last].bound.update
        if step is not None:
            name, time = self.analysis.setting.optimizer, seconds_text(step.total)
            share = _share(step.total, whole)
            rows.append(["optimizer", name, "", time, step.bottleneck, share])
        titles = [TITLES[mode] for mode in self.forecasts]
        headings = ["part", "kind", *titles, "bottleneck", f"share of {titles[-1]}"]
        return table(headings, rows, numeric=tuple(range(2, 2 + len(titles))))


def _share(time: Fraction, whole: Fraction) -> str:
    return share_bar(int(time * 1000 / whole) if whole else 0)


def _row(mode: Mode, forecast: Forecast) -> list[str]:
    shares = forecast.bound.shares
    whole = forecast.bound.seconds
    parts = [percent_text(each / whole) if whole else "-" for each in shares.values()]
    used = percent_text(forecast.utilisation(whole))
    return [TITLES[mode], seconds_text(whole), *parts, used]


def _estimated(forecast: Forecast) -> list[str]:
    """The calibrated time and its interval; of what is not calibrated a dash."""
    estimate = forecast.estimate
    if estimate is None:
        return ["-", "-"]
    high = seconds_text(estimate.high) if estimate.high is not None else "?"
    return [
        seconds_text(estimate.seconds),
        f"{seconds_text(estimate.low)} .. {high}",
    ]


def _object(forecast: Forecast) -> dict[str, Any]:
    shares = forecast.bound.shares
    found: dict[str, Any] = {
        "at_least_s": number(forecast.bound.seconds),
        "bottlenecks_s": {name: number(each) for name, each in shares.items()},
        "utilisation_at_most": number(forecast.utilisation(forecast.bound.seconds)),
        "calibrated": None,
    }
    estimate = forecast.estimate
    if estimate is not None:
        found["calibrated"] = {
            "seconds": number(estimate.seconds),
            "low_s": number(estimate.low),
            "high_s": None if estimate.high is None else number(estimate.high),
            "left_out_error_mean": estimate.fit.mean_error,
            "left_out_error_worst": estimate.fit.worst_error,
        }
    return found


def _seconds(row: SummaryTree, mode: Mode) -> Fraction:
    from nnspec.analysis.timing.latency import in_seconds

    return in_seconds(sum(_by_bottleneck(row, mode).values()))


def _by_bottleneck(row: SummaryTree, mode: Mode) -> dict[str, int]:
    from nnspec.analysis.timing.roofline import BOTTLENECKS

    return {each: int(row.figures[f"{mode} {each}"]) for each in BOTTLENECKS}


def _bottleneck(row: SummaryTree, mode: Mode) -> str:
    """What holds up most of a part's time; `-` of a part that takes none."""
    times = _by_bottleneck(row, mode)
    longest = max(times, key=lambda name: times[name])
    return longest if times[longest] else "-"
