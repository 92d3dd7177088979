"""`nnspec calibrate`: fits a device to what runs really take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    parse_settings,
    spec_errors_reported,
)
from nnspec.cli.shown.calibration import Fitted, fits_object, fits_text
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.timing.calibration_file import Calibration
    from nnspec.analysis.timing.device import Device
    from nnspec.analysis.timing.kernels import Mode
    from nnspec.analysis.timing.measurements import Measurement
    from nnspec.spec import Spec

BUILT_IN = "builtin:"
MEASURED = ("fp32", "bf16", "fp16", "mixed_bf16", "mixed_fp16")


@click.command()
@click.argument("specs", metavar="[SPEC [KEY=VALUE]...]...", nargs=-1)
@click.option("--device", "name", metavar="NAME", required=True, help="Which one.")
@click.option(
    "--from", "file", metavar="FILE", help="Fit to this file, measure nothing."
)
@click.option("--save", metavar="FILE", help="Write what was measured (.json, .csv).")
@click.option(
    "--mode",
    "modes",
    type=click.Choice(["forward", "training", "both"]),
    default="both",
    show_default=True,
    help="What to measure.",
)
@click.option(
    "--policy",
    type=click.Choice(MEASURED),
    default="fp32",
    show_default=True,
    help="In which element types.",
)
@click.option(
    "--on",
    metavar="PLACE",
    default="cpu",
    show_default=True,
    help="PyTorch's name of what to measure: cpu, cuda, mps.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 4096),
    default=1,
    show_default=True,
    help="Threads on a processor.",
)
@click.option(
    "--scale",
    type=click.IntRange(1, 10**6),
    default=1,
    show_default=True,
    help="Multiply the batches of the built-in models, for large devices.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3600),
    default=0.5,
    show_default=True,
    help="How long to repeat each run.",
)
@json_option
def calibrate(
    specs: tuple[str, ...],
    name: str,
    file: str | None,
    save: str | None,
    modes: str,
    policy: str,
    on: str,
    threads: int,
    scale: int,
    seconds: float,
    as_json: bool,
) -> int:
    """Fit a device to measured times; `cost --device` then tells an interval.

    Measures the emitted PyTorch programs on this machine, of your specs or of a built-in suite, or reads
    times that were measured elsewhere. The fit is kept beside the device, with the error of each run that
    was left out of it.

    \b
    Examples:
      nnspec calibrate --device cpu
      nnspec calibrate --device ./lab.toml --on cuda --scale 8 --policy mixed_bf16
      nnspec calibrate --device cpu resnet.nns:ResNet50 B=1 gpt2.nns:GPT2Small B=1 T=128
      nnspec calibrate --device h100 --from measured.csv
    """
    from nnspec.analysis.timing.device import load_device
    from nnspec.cli.render import write, write_json

    if file is not None and (specs or save is not None):
        raise click.UsageError("--from measures nothing: leave out specs and --save")
    with spec_errors_reported(as_json):
        device = load_device(name)
        if file is not None:
            runs = list(_read(file))
        else:
            wanted = ("forward", "training") if modes == "both" else (modes,)
            bench = Bench(wanted, policy, on, threads, seconds)  # pyright: ignore[reportArgumentType]
            runs = list(bench.measured(_given(specs) or _suite(scale)))
        if save is not None:
            _save(save, runs)
        fits = _fits(device, runs)
        path = _keep(device, fits)
    if as_json:
        write_json(fits_object(device, path, fits))
    else:
        write(fits_text(path, fits))
    return 0


@dataclass(frozen=True)
class Run:
    """A measurement and the model that was measured."""

    measurement: Measurement
    spec: Spec


# ---- what to measure ----------------------------------------------------------------------------------

Given = tuple[str, "Mapping[str, str]"]


def _given(words: Sequence[str]) -> list[Given]:
    """The specs of the command line, each with the settings behind it."""
    groups: list[tuple[str, list[str]]] = []
    for word in words:
        is_setting = "=" in word and not Path(word).exists()
        if not is_setting:
            groups.append((word, []))
        elif groups:
            groups[-1][1].append(word)
        else:
            raise click.UsageError(f"`{word}` stands before any SPEC")
    return [(spec, parse_settings(settings)) for spec, settings in groups]


def _suite(scale: int) -> list[Given]:
    from nnspec.verify.timing import RUNS

    scaled = [(name, {**sizes, "B": sizes["B"] * scale}) for name, sizes in RUNS]
    return [
        (f"{BUILT_IN}{name}", {symbol: str(size) for symbol, size in sizes.items()})
        for name, sizes in scaled
    ]


def _load(text: str, settings: Mapping[str, str], folder: Path = Path()) -> Spec:
    """A model by what a measurement calls it."""
    from nnspec.verify.timing import SUITE

    if text.startswith(BUILT_IN):
        argument = SpecArgument(str(SUITE), text.removeprefix(BUILT_IN))
    else:
        argument = SpecArgument.parse(str(folder / text))
    return load_model(argument, settings)


@dataclass(frozen=True)
class Bench:
    """How runs are measured."""

    modes: Sequence[Mode]
    policy: str
    on: str
    threads: int
    seconds: float

    def measured(self, given: Iterable[Given]) -> Iterator[Run]:
        """Each model, in each mode."""
        from nnspec.analysis.analysis import Analysis
        from nnspec.analysis.timing.latency import require_sizes
        from nnspec.analysis.timing.measurements import Measurement
        from nnspec.verify.timing import measured, require_torch

        require_torch()
        for name, settings in given:
            spec = _load(name, settings)
            require_sizes(Analysis(spec.program), spec.symbols)
            for mode in self.modes:
                time = measured(
                    spec,
                    mode=mode,
                    policy=self.policy,
                    on=self.on,
                    threads=self.threads,
                    seconds=self.seconds,
                )
                sizes = dict(spec.symbols)
                yield Run(
                    Measurement(
                        spec=name,
                        sizes=sizes,
                        seconds=time,
                        mode=mode,
                        policy=self.policy,
                    ),
                    spec,
                )


def _read(file: str) -> Iterator[Run]:
    from nnspec.analysis.timing.measurements import read_measurements

    path = Path(file)
    for each in read_measurements(path):
        sizes = {name: str(size) for name, size in each.sizes.items()}
        yield Run(each, _load(each.spec, sizes, path.parent))


def _save(path: str, runs: Sequence[Run]) -> None:
    from nnspec.analysis.timing.measurements import measurements_text
    from nnspec.files import write_new

    text = measurements_text(path, [run.measurement for run in runs])
    write_new(path, text.encode())


# ---- fitting and keeping --------------------------------------------------------------------------------


def _fits(device: Device, runs: Sequence[Run]) -> list[Fitted]:
    groups: dict[tuple[str, Mode], list[Run]] = {}
    for run in runs:
        key = (run.measurement.policy, run.measurement.mode)
        groups.setdefault(key, []).append(run)
    return [_fitted(device, *key, group) for key, group in groups.items()]


def _fitted(device: Device, policy: str, mode: Mode, runs: Sequence[Run]) -> Fitted:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.setting import Setting
    from nnspec.analysis.timing.calibration import Sample, fit
    from nnspec.analysis.timing.latency import Latency
    from nnspec.analysis.timing.roofline import Roofline

    setting, roofline = Setting.named(policy=policy), Roofline(device)
    latencies = [
        Latency(Analysis(run.spec.program, setting), roofline, run.spec.symbols, mode)
        for run in runs
    ]
    samples = [
        Sample(run.measurement.name, each.work.kernels, run.measurement.seconds)
        for run, each in zip(runs, latencies, strict=True)
    ]
    bounds = [each.seconds for each in latencies]
    return Fitted(policy, mode, fit(samples, roofline), samples, bounds)


def _keep(device: Device, fits: Sequence[Fitted]) -> Path:
    """Writes the fits beside the device; those of other policies and modes stay."""
    from nnspec.analysis.timing.calibration_file import Calibration, calibration_text
    from nnspec.analysis.timing.device import calibration_path
    from nnspec.files import write_generated

    path = calibration_path(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = Calibration(dict(_kept(device).fits))
    for each in fits:
        merged.fits[each.policy, each.mode] = each.fit
    write_generated(str(path), calibration_text(device, merged))
    return path


def _kept(device: Device) -> Calibration:
    """What is there already; nothing where that belongs to other figures."""
    from nnspec.analysis.timing.calibration_file import Calibration, read_calibration
    from nnspec.diagnostics import SpecError

    try:
        return read_calibration(device)
    except SpecError:
        return Calibration({})
