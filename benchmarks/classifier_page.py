"""The sections of the page on trained classifiers, from the logs in mnist/ and from what depth.py measured."""

from __future__ import annotations

import json
from typing import Any

from environments import HERE

ARCHITECTURES = ("odenet", "resnet", "stem")

MNIST = """\
## MNIST: an ODE-Net beside its baselines

{table}

Each line is `gradcam neuralode train --data mnist.npz --arch NAME --epochs 12 --crop 2 --seed 0 --log NAME.csv --json`,
run once, in float32 on two cores: batches of 128, momentum 0.9, one cycle up to 0.1, the ODE by dopri5 at 1e-3 and the
adjoint method. `error` is of the 10,000 test images, which are used for nothing else. `forward` and `backward` are
evaluations of f in a step of the last epoch, `memory` is the largest resident set. {seconds} The logs are in
[mnist/](mnist). Table 1 of the paper has 0.42 % for its ODE-Net and 0.41 % for a residual network, after 160 epochs."""

DEPTH = """\
## Where the map's peak lies, along the depth

![Share of peaks on the digit against t](depth.png)

`python benchmarks/depth.py`: in ten epochs an ODE-Net learns 12,000 of MNIST's digits, each placed at random on a
canvas of twice its sides, on a plane of 13x13 cells, and knows {accuracy:.1%} of 600 test digits. Of the first {cases}
that it knows, the peak of the Grad-CAM map lies within the digit's square in {least:.1%} at the least and {most:.1%} at
the best of eleven depths, {end:.1%} at the last one; by chance it would in 25 %. Towards the end the states z(t), which
are signed, let a cell of the empty ground count for a class where state and weight are both negative. LayerCAM, which
lets only positive gradients weigh each cell, has its peak on the digit in {layercam:.1%} at t = 0. With one more
strided convolution, a plane of 6x6 and four epochs, Grad-CAM's figures were 60 to 68 %: a cell was then a third of a
digit wide.

![Digits on canvases and their maps at several depths](depth_examples.png)"""


def classifiers() -> str:
    """Return the sections whose measurements are there."""
    return "\n\n".join(part for part in (mnist(), depth()) if part)


def mnist() -> str:
    """Return the section on MNIST, if all three networks were trained."""
    files = [HERE / "mnist" / f"{name}.json" for name in ARCHITECTURES]
    if not all(file.is_file() for file in files):
        return ""
    rows = [json.loads(file.read_text()) for file in files]
    note = HERE / "mnist" / "seconds.json"
    quiet = json.loads(note.read_text()) if note.is_file() else {}
    lines = [
        "| network | error | parameters | memory | forward | backward | seconds an epoch |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        line(name, row, quiet.get("seconds", {}).get(name)) for name, row in zip(ARCHITECTURES, rows, strict=True)
    ]
    return MNIST.format(table="\n".join(lines), seconds=quiet.get("note", ""))


def line(name: str, row: dict[str, Any], seconds: float | None) -> str:
    """Return a network's line of the table."""
    cells = [
        name,
        f"{100 * (1 - row['test_accuracy']):.2f} %",
        f"{row['parameters']:,}",
        f"{row['peak_mb']:,} MB",
        *("-" if row[key] is None else f"{row[key]:.1f}" for key in ("forward", "backward")),
        f"{seconds or row['seconds'] / row['epochs']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def depth() -> str:
    """Return the section on the peaks, if depth.py was run."""
    path = HERE / "depth.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text())
    shares = found["peak_on_digit"]["gradcam"]
    return DEPTH.format(
        **found, least=min(shares), most=max(shares), end=shares[-1], layercam=found["peak_on_digit"]["layercam"][0]
    )
