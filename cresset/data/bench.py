"""How fast this environment trains: networks by precisions, a median and a spread for each; runs in the container.

    python bench.py [--quick] [--device cuda:0] [--json | --markdown] [--against FILE]

It needs PyTorch and Python 3.7, nothing else; TorchVision's networks are tried where it is there. FILE is what --json
printed in another environment. Each figure is of whole training steps, forward, backward and update, on data that is
there already: what a data loader costs is not in it. On a GPU they are timed by its own events, without waiting for
each.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, NoReturn


def end_with_input() -> None:
    """End with whoever started this, however they end: no signal of theirs comes into a container."""
    while os.read(0, 65536):
        pass
    os._exit(130)


# Before PyTorch, whose import takes seconds.
if "--end-with-input" in sys.argv:
    threading.Thread(target=end_with_input, daemon=True).start()
try:
    import torch
except ImportError as missing:
    sys.exit(f"there is no PyTorch to measure here: {missing}")
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(130)

BUSY = 10  # percent, of a GPU or of all processors, from which on somebody else's work is in the figures


class Case(NamedTuple):
    """A network with data of a shape: `make` returns it, its input and what it is to answer."""

    name: str
    shape: str
    items: int
    make: Callable[[], tuple[Any, Any, Any]]


class Mode(NamedTuple):
    """How a step is computed."""

    name: str
    tf32: bool = False
    bf16: bool = False
    compile: bool = False
    benchmark: bool = False


MODES = (
    Mode(name="fp32"),
    Mode(name="fp32, cudnn.benchmark", benchmark=True),
    Mode(name="TF32", tf32=True),
    Mode(name="TF32, cudnn.benchmark", tf32=True, benchmark=True),
    Mode(name="AMP bf16", tf32=True, bf16=True),
    Mode(name="AMP bf16, cudnn.benchmark", tf32=True, bf16=True, benchmark=True),
    Mode(name="AMP bf16, cudnn.benchmark, torch.compile", tf32=True, bf16=True, benchmark=True, compile=True),
)
# Neither TF32 nor cuDNN are for processors.
CPU_MODES = (Mode(name="fp32"), Mode(name="AMP bf16", bf16=True), Mode(name="fp32, torch.compile", compile=True))


# ---- what is measured


def transformer(*, width: int, layers: int, batch: int, length: int) -> Case:
    """Return an encoder of torch.nn."""

    def make() -> tuple[Any, Any, Any]:
        maker = torch.nn.TransformerEncoderLayer
        # PyTorch before 1.9 wants the sequence first: the same products.
        order = known(maker, batch_first=True)
        layer = maker(width, width // 64, 4 * width, **order)
        encoder = torch.nn.TransformerEncoder
        data = torch.randn(*((batch, length) if order else (length, batch)), width)
        return encoder(layer, layers, **known(encoder, enable_nested_tensor=False)), data, torch.randn_like(data)

    return Case("Transformer", f"{layers} x {width}, {batch} x {length}", batch, make)


def known(function: Callable[..., Any], **options: bool) -> dict[str, bool]:
    """Return those options that this PyTorch's function takes: older ones lack some."""
    return {name: value for name, value in options.items() if name in inspect.signature(function).parameters}


def network(name: str, title: str, *shape: int) -> Case:
    """Return a network of torchvision that classifies."""

    def make() -> tuple[Any, Any, Any]:
        from torchvision import models  # noqa: PLC0415 - where there is none, the rest is measured

        maker = models.video.r3d_18 if name == "r3d_18" else getattr(models, name)
        return maker(), torch.randn(*shape), torch.randint(1000 if name != "r3d_18" else 400, shape[:1])

    return Case(title, " x ".join(map(str, shape)), shape[0], make)


def cases(kind: str, *, quick: bool) -> tuple[Case, ...]:
    """Return what fits the device; on a processor small shapes, which say little about a GPU."""
    if quick:
        return (transformer(width=64, layers=1, batch=2, length=8), network("resnet50", "ResNet-50", 2, 3, 32, 32))
    if kind == "cpu":
        return (
            transformer(width=256, layers=2, batch=4, length=64),
            network("resnet50", "ResNet-50", 4, 3, 64, 64),
            network("r3d_18", "r3d_18", 1, 3, 4, 56, 56),
        )
    return (
        transformer(width=1024, layers=12, batch=16, length=512),
        network("resnet50", "ResNet-50", 64, 3, 224, 224),
        network("vgg19", "VGG-19", 64, 3, 224, 224),
        network("r3d_18", "r3d_18", 16, 3, 16, 112, 112),
    )


def concerns(mode: Mode, case: Case) -> bool:
    """Return whether a mode differs from the others for a network: cuDNN has nothing to choose without convolutions."""
    return case.name != "Transformer" or not mode.benchmark or mode.compile


@contextmanager
def computing(mode: Mode, kind: str) -> Iterator[Any]:
    """Set what a mode means, and give the context of its forward pass."""
    if mode.bf16 and not hasattr(torch, "autocast"):
        raise RuntimeError("torch.autocast is of PyTorch 1.10 and newer")
    torch.backends.cudnn.benchmark = mode.benchmark
    if hasattr(torch.backends.cuda, "matmul"):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = mode.tf32
    elif mode.tf32:
        raise RuntimeError("TF32 is of PyTorch 1.7 and newer")
    yield torch.autocast(kind, dtype=torch.bfloat16) if mode.bf16 else nullcontext()


def measure(case: Case, mode: Mode, device: torch.device, *, warm_up: int, steps: int) -> dict[str, Any]:
    """Return the times of training steps, in milliseconds, and the memory that they took, in GiB."""
    torch.manual_seed(0)
    model, data, target = case.make()
    model, data, target = model.to(device).train(), data.to(device), target.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    loss_of = torch.nn.functional.cross_entropy if target.dtype == torch.int64 else torch.nn.functional.mse_loss
    forward = torch.compile(model) if mode.compile else model
    clearing = known(optimizer.zero_grad, set_to_none=True)
    with computing(mode, device.type) as precision:

        def step() -> None:
            optimizer.zero_grad(**clearing)
            with precision:
                loss = loss_of(forward(data), target)
            loss.backward()
            optimizer.step()

        began = time.perf_counter()
        step()
        settle(device)
        first = time.perf_counter() - began
        for _ in range(warm_up):
            step()
        settle(device)
        times = timed_on_gpu(step, steps) if device.type == "cuda" else timed(step, steps)
    low, median, high = (quartile(times, number) for number in (1, 2, 3))
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return {
        "model": case.name,
        "shape": case.shape,
        "mode": mode.name,
        "median_ms": round(median, 4),
        "quartiles_ms": [round(low, 4), round(high, 4)],
        "items_per_s": round(1000 * case.items / median, 2),
        "first_step_s": round(first, 3),
        "memory_gib": memory and round(memory, 2),
        "steps": steps,
    }


def quartile(times: list[float], number: int) -> float:
    """Return the first, second or third quartile, as statistics.quantiles of Python 3.8 has them."""
    ordered = sorted(times)
    place = number * (len(times) + 1) / 4
    after = min(max(int(place), 1), len(times) - 1)
    return ordered[after - 1] + (place - after) * (ordered[after] - ordered[after - 1])


def settle(device: torch.device) -> None:
    """Wait for what was begun."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(step: Callable[[], None], steps: int) -> list[float]:
    """Return the milliseconds of each step by the clock."""
    marks = [time.perf_counter()]
    for _ in range(steps):
        step()
        marks.append(time.perf_counter())
    return [1000 * (after - before) for before, after in zip(marks, marks[1:])]


def timed_on_gpu(step: Callable[[], None], steps: int) -> list[float]:
    """Return the milliseconds of each step by the GPU's own events, which are read when all is done."""
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [before.elapsed_time(after) for before, after in zip(marks, marks[1:])]


# ---- where it is measured


def gpu_line(device: torch.device, question: str) -> str:
    """Return what nvidia-smi answers about a GPU; empty where it cannot be asked."""
    program = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
    properties = torch.cuda.get_device_properties(device)
    # PyTorch counts the GPUs that it is let see, nvidia-smi all of them.
    which = f"GPU-{properties.uuid}" if hasattr(properties, "uuid") else str(device.index or 0)
    try:
        done = subprocess.run(
            [program, f"--id={which}", f"--query-gpu={question}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def busy_percent(device: torch.device) -> float | None:
    """Return how busy the device is with other work, in percent: the highest of a few looks; None if nobody knows."""
    if device.type == "cpu":
        return round(100 * os.getloadavg()[0] / (os.cpu_count() or 1), 1)
    looks = []
    for _ in range(5):
        looks.append(gpu_line(device, "utilization.gpu"))
        time.sleep(0.4)
    numbers = [float(look) for look in looks if look.replace(".", "").isdigit()]
    return max(numbers) if numbers else None


def environment(device: torch.device) -> dict[str, Any]:
    """Return what the figures depend on."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": getattr(torch.version, "git_version", None),
        "threads": torch.get_num_threads(),
        "processor": processor(),
    }
    if device.type == "cuda":
        of_gpu = {
            "gpu": torch.cuda.get_device_name(device),
            "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
            "driver": gpu_line(device, "driver_version"),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "architectures": getattr(torch.cuda, "get_arch_list", list)(),
        }
        found.update(of_gpu)
    return found


def processor() -> str:
    """Return the processor's name as the kernel has it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - the shortest
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def run(device: torch.device, *, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything, and say how it goes; what does not work is listed with its reason."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    busy = busy_percent(device)
    of = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    say(busy_line(of, busy))
    warm_up, steps = (1, 3) if quick else (10, 50) if device.type == "cuda" else (2, 10)
    modes = MODES if device.type == "cuda" else CPU_MODES
    results: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for case in cases(device.type, quick=quick):
        for mode in (one for one in modes if concerns(one, case) and not (quick and one.compile)):
            try:
                results.append(measure(case, mode, device, warm_up=warm_up, steps=steps))
                say(f"{case.name}, {mode.name}: {results[-1]['median_ms']} ms")
            except Exception as error:  # noqa: BLE001 - memory, a missing compiler, a missing torchvision: the rest goes on
                reason = (str(error).strip().splitlines() or [""])[0]
                skipped.append({"model": case.name, "mode": mode.name, "reason": f"{type(error).__name__}: {reason}"})
                say(f"{case.name}, {mode.name}: not measured: {skipped[-1]['reason']}")
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            if mode.compile and hasattr(torch, "compiler"):
                torch.compiler.reset()
    report = {"environment": environment(device), "busy_percent": busy, "results": results, "skipped": skipped}
    return {**report, "quick": quick}


# ---- what is shown


def busy_line(device: str, busy: float | None) -> str:
    """Return whether a device had other work, for a person."""
    if busy is None:
        return f"{device}: whether it has other work cannot be asked (no nvidia-smi)."
    if busy >= BUSY:
        return f"{device}: busy with other work ({busy:g} %): the figures are of what is left of it."
    return f"{device}: idle ({busy:g} %)."


def ratio(mine: dict[str, Any], other: dict[str, Any] | None, *, quick: bool) -> str:
    """Return how many times as fast as the other one this is; with a ~ where that is no difference to count on."""
    if other is None:
        return ""
    (low, high), (other_low, other_high) = mine["quartiles_ms"], other["quartiles_ms"]
    same = quick or (low <= other_high and other_low <= high)
    return f"{'~ ' if same else ''}{other['median_ms'] / mine['median_ms']:.2f}"


def rows(report: dict[str, Any], against: dict[str, Any] | None) -> list[list[str]]:
    """Return the table's cells, its head first."""
    is_quick = any((one or {}).get("quick") for one in (report, against))
    others = {(one["model"], one["shape"], one["mode"]): one for one in (against or {}).get("results", ())}
    table = [["network", "data", "mode", "ms a step", "quartiles", "items a second", "GiB", "times as fast"]]
    table[0][-1:] = ["times as fast as there"] if against else []
    for one in report["results"]:
        cells = [one["model"], one["shape"], one["mode"], f"{one['median_ms']:.2f}"]
        cells += ["{:.2f} - {:.2f}".format(*one["quartiles_ms"]), f"{one['items_per_s']:.1f}"]
        cells.append("" if one["memory_gib"] is None else f"{one['memory_gib']:.1f}")
        other = others.get((one["model"], one["shape"], one["mode"]))
        table.append(cells + ([ratio(one, other, quick=is_quick)] if against else []))
    return table


def describe(report: dict[str, Any]) -> str:
    """Return an environment in one line."""
    one = report["environment"]
    where = f"{one['gpu']} ({one['capability']}), driver {one['driver']}" if "gpu" in one else one["processor"]
    cuda = f", CUDA {one['cuda']}, cuDNN {one['cudnn']}" if "gpu" in one else f", {one['threads']} threads"
    return f"PyTorch {one['torch']}{cuda}, Python {one['python']}, on {where}"


def text(report: dict[str, Any], against: dict[str, Any] | None, *, markdown: bool) -> str:
    """Return a report for a person, or for a page."""
    lines = [describe(report), busy_line("the device", report["busy_percent"])]
    if against:
        lines.append(f"There: {describe(against)}; {busy_line('the device', against['busy_percent'])}")
    table = rows(report, against)
    widths = [max(map(len, column)) for column in zip(*table)]
    lines.append("")
    for number, cells in enumerate(table):
        if markdown:
            lines.append(f"| {' | '.join(cells)} |")
            lines += ["|---" * len(cells) + "|"] * (number == 0)
        else:
            padded = [cell.ljust(width) for cell, width in zip(cells, widths)]
            lines.append("  ".join(padded).rstrip())
    modes: dict[tuple[str, str], list[str]] = {}
    for one in report["skipped"]:
        modes.setdefault((one["model"], one["reason"]), []).append(one["mode"])
    lines += ["", *(f"Not measured: {name} ({'; '.join(of)}): {reason}" for (name, reason), of in modes.items())]
    if against and not any(cells[-1] for cells in table[1:]):
        lines.append("Nothing to compare: no row has the network, the data and the mode of one there.")
        if bool(report.get("quick")) != bool(against.get("quick")):
            lines.append("One of them was measured with --quick, whose data are tiny: measure both alike.")
    elif against:
        why = "the two ranges between the quartiles overlap, or one of them was measured with --quick"
        lines.append(f"~: no difference that one could count on: {why}.")
    return "\n".join(lines).strip()


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="whether it works at all: tiny data, three steps")
    parser.add_argument("--end-with-input", action="store_true", help="end when the standard input does")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for --against, and for scripts")
    form.add_argument("--markdown", action="store_true", help="a table for a page")
    parser.add_argument("--against", metavar="FILE", help="what --json printed in another environment")
    parser.add_argument("--read", metavar="FILE", help="show what --json printed instead of measuring")
    asked = parser.parse_args()
    # Before anything is measured: a wrong name costs no minutes.
    against, report = (read(option, getattr(asked, option)) for option in ("against", "read"))
    if against is not None and not can_compare(against):
        refuse(f"--against {asked.against}: these are no figures")
    if report is None:
        device = device_of(asked.device)
        warnings.simplefilter("ignore")
        report = run(device, quick=asked.quick, say=lambda line: print(line, file=sys.stderr))
    elif not can_compare(report) or not can_show(report):
        refuse(f"--read {asked.read}: these are no figures")
    # Another environment may have names that this terminal cannot show.
    shown = json.dumps(report, indent=1) if asked.json else shown_text(report, against, markdown=asked.markdown)
    encoding = sys.stdout.encoding or "utf-8"
    print(shown.encode(encoding, "backslashreplace").decode(encoding))
    if asked.read is None and not report["results"]:
        sys.exit("nothing could be measured here")


def shown_text(report: dict[str, Any], against: dict[str, Any] | None, *, markdown: bool) -> str:
    """Return a report for a person; without the comparison where that fails, for the minutes are spent."""
    try:
        return text(report, against, markdown=markdown)
    except Exception as error:
        if against is None:
            raise
        print(f"it could not be compared: {type(error).__name__}: {error}", file=sys.stderr)
        return text(report, None, markdown=markdown)


def refuse(line: str) -> NoReturn:
    """Say what is wrong with the command line, and end."""
    print(line, file=sys.stderr)
    sys.exit(2)


def device_of(name: str) -> torch.device:
    """Return a device by its name; one that is none, or not here, is refused."""
    match = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", name)
    if not match:
        refuse(f"--device {name}: it is cpu, or cuda:0 for the first GPU")
    if name != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(match.group(1) or 0) >= count:
            refuse(f"--device {name}: PyTorch sees {count or 'no'} GPU{'s' * (count > 1)} here")
    return torch.device(name)


def can_compare(report: dict[str, Any]) -> bool:
    """Return whether a report has what a comparison takes of it."""
    try:
        describe(report), busy_line("", report["busy_percent"])
        for one in report["results"]:
            hash((one["model"], one["shape"], one["mode"]))
            ratio(one, one, quick=False)
    except Exception:  # noqa: BLE001 - whatever else it is
        return False
    return True


def can_show(report: dict[str, Any]) -> bool:
    """Return whether a report has what a table takes of it."""
    try:
        text(report, None, markdown=False)
    except Exception:  # noqa: BLE001 - whatever else it is
        return False
    return True


def read(option: str, name: str | None) -> dict[str, Any] | None:
    """Return a report that was kept; None where none was named."""
    if name is None:
        return None
    try:
        if os.path.exists(name) and not os.path.isfile(name):  # noqa: PTH110, PTH113 - the shortest
            refuse(f"--{option} {name}: that is no file")
        with open(name, encoding="utf-8") as file:  # noqa: PTH123 - the shortest
            found: dict[str, Any] = json.load(file)
    except OSError as error:
        refuse(f"--{option} {name}: {error.strerror}")
    except (ValueError, RecursionError):
        refuse(f"--{option} {name}: these are no figures")
    return found


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
