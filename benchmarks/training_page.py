"""The section of the page on training, from what ode_training.py measured."""

from __future__ import annotations

import json
from statistics import mean, median
from typing import Any

from environments import HERE

GRADCAM, PEER = "gradcam", "torchdiffeq"
LABELS = {"relu": "ReLU", "softplus": "softplus", "stem": "no ODE"}
EARLY, LATE = 5, 10
"""Losses that are compared one by one at the beginning, and by their mean at the end."""

SECTION = """\
## Training through differential equations

`python benchmarks/ode_training.py` on {date}, commit {commit}: {processor}, {cores} cores; {versions}.

{speed}

The ODE-Net of 208,266 parameters learns MNIST from the same weights by the same batches of 128 in the same order, in
float32 on two threads: gradient descent at a constant rate with momentum 0.9, dopri5 at rtol = atol = 1e-3, the adjoint
method. gradcam is what `gradcam neuralode train` runs but for the optimizer, torchdiffeq the network in torch, eager,
channels first, around `odeint_adjoint`. The contenders take turns, {rounds} processes of {steps} steps each; the first
{warm_up} are not timed. `steps/s` is the median, with the best beside it, `ratio` the median against torchdiffeq's,
`forward` and `backward` are evaluations of f in a step. `no ODE` is the stem and the head alone, {plain} steps.
`first losses` is the largest relative difference from torchdiffeq's of the losses of steps 1 to {early}, `last losses`
that of the mean of the last {late}.

{gradients}

### Memory

![Megabytes against steps](ode_training.png)

{memory}

The network with {weighed} takes two training steps of 128 images, in float64, since 1e-8 is below float32's rounding;
the tolerance is that of both solves. `steps` are those accepted forward, the mean of the two; memory is the largest
resident set of the whole process, stem and head included. From the loosest tolerance to the closest the adjoint method
takes {adjoint}, the discrete gradient {discrete}."""


def training() -> str:
    """Return the section, if ode_training.py was run."""
    path = HERE / "ode_training.json"
    return section(json.loads(path.read_text())) if path.is_file() else ""


def section(results: dict[str, Any]) -> str:
    """Return the section in Markdown."""
    setting, machine, memory = results["setting"], results["machine"], results["memory"]
    return SECTION.format(
        date=machine["date"],
        commit=machine["commit"] or "unknown",
        processor=machine["processor"],
        cores=machine["cores"],
        versions=", ".join(f"{name} {version}" for name, version in results["versions"].items()),
        speed=table(SPEED, 2, speed_cells(results["training"])),
        gradients=gradients(results["gradients"]),
        memory=table(MEMORY, 0, memory_cells(memory)),
        early=EARLY,
        late=LATE,
        **{gradient: growth(memory, gradient) for gradient in ("adjoint", "discrete")},
        **setting,
    )


SPEED = (
    "f",
    "contender",
    "steps/s",
    "best",
    "ms a step",
    "ratio",
    "forward",
    "backward",
    "first losses",
    "last losses",
)


def speed_cells(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return the lines of the first table."""
    lines = []
    for network, label in LABELS.items():
        groups = {c: [r for r in runs if (r["network"], r["contender"]) == (network, c)] for c in (GRADCAM, PEER)}
        theirs = groups[PEER]
        for contender, some in groups.items():
            speeds = [run["steps_per_second"] for run in some]
            speed = median(speeds)
            ratio = speed / median(run["steps_per_second"] for run in theirs)
            counts = [f"{median(run[f'{way}_evaluations'] for run in some):.1f}" for way in ("forward", "backward")]
            lines.append(
                [
                    label,
                    contender,
                    f"{speed:.2f}",
                    f"{max(speeds):.2f}",
                    f"{1e3 / speed:.0f}",
                    f"{ratio:.2f}",
                    *(counts if network != "stem" else ["", ""]),
                    *(agreement(some[0]["losses"], theirs[0]["losses"]) if contender == GRADCAM else ["", ""]),
                ]
            )
    return lines


def agreement(ours: list[float], theirs: list[float]) -> list[str]:
    """Return how far the first losses are apart, and the mean of the last ones."""
    first = max(abs(x / y - 1) for x, y in zip(ours[:EARLY], theirs[:EARLY], strict=True))
    last = abs(mean(ours[-LATE:]) / mean(theirs[-LATE:]) - 1)
    return [f"{first:.0e}", f"{100 * last:.1f} %"]


def gradients(rows: list[dict[str, Any]]) -> str:
    """Return the paragraph on the errors of the gradients."""
    parts = [
        f"{LABELS[row['network']]}, {row['contender']}: {100 * row['f']:.1f} % and {100 * row['stem']:.1f} %"
        for row in rows
    ]
    return (
        "Both solve backward with their own defaults: torchdiffeq to an absolute 1e-3, which leaves dL/dz, some\n"
        "1e-5 at first, practically uncontrolled; gradcam to 1e-2 relative to the size of dL/dz. How far the\n"
        "gradient of the first step is from a discrete one in float64 at 1e-6, relatively, for the parameters of f\n"
        "and for those of the stem: " + "; ".join(parts) + "."
    )


MEMORY = ("tolerance", "steps", "evaluations backward", "adjoint, MB", "discrete, MB")


def memory_cells(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the lines of the second table."""
    return [
        [
            f"{adjoint['tolerance']:.0e}",
            f"{discrete['accepted']:g}",
            f"{adjoint['backward_evaluations']:g}",
            f"{adjoint['peak_mb']:,.0f}",
            f"{discrete['peak_mb']:,.0f}",
        ]
        for adjoint, discrete in pairs(rows)
    ]


def pairs(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return both ways at each tolerance."""
    found = {(row["gradient"], row["tolerance"]): row for row in rows}
    return [(row, found["discrete", tolerance]) for (way, tolerance), row in found.items() if way == "adjoint"]


def growth(rows: list[dict[str, Any]], gradient: str) -> str:
    """Say how the memory grew from the first tolerance to the last."""
    some = [row["peak_mb"] for row in rows if row["gradient"] == gradient]
    return f"{some[-1] / some[0]:.2f} times the memory"


def table(headings: tuple[str, ...], words: int, lines: list[list[str]]) -> str:
    """Return a table; the columns after so many words are numbers."""
    rule = ["---"] * words + ["---:"] * (len(headings) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rule, *lines])
