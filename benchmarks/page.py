"""The page on which the results are published: README.md."""

from __future__ import annotations

import json
from typing import Any

from classifier_page import classifiers
from engines_page import engines
from environments import HERE
from ode_page import odes
from summary import Row, summarise
from training_page import training

PAGE = """\
# Benchmarks

gradcam beside other ways to get Grad-CAM maps: how long a photo takes, from JPEG files on disk to
files on disk. `make bench` measures and writes this page; so does

    python benchmarks/bench.py --weights vgg19_weights_tf_dim_ordering_tf_kernels.h5 --photos DIR

It installs the tools into environments of their own under `benchmarks/.envs` (about 16 GB) and needs
an hour or two on an idle machine. `--quick` only tries whether everything runs, `--help` lists the rest.
The numbers of every single run are in [results.json](results.json). At the end of this page, gradcam's
solver of differential equations stands beside others.

{machine}

{table}

`ms` is the median over the repeats, with the least and the most beside it; `ratio` is the median
against gradcam's at the same precision and output, so that 2 means twice as long (`bare forward` is
compared with gradcam's overlays). `memory` is the largest resident set of the process. `agreement` is
the correlation of the tool's maps with gradcam's float32 maps, the median over the photos.

![Milliseconds an image](speed.png)

{scaling}

{methods}

## What is measured

All tools explain the same photos with the same VGG19 and the same ImageNet weights (the torch tools get
Keras's kernels, transposed), squashed to 224x224 in the same way: Grad-CAM at block5_conv4 after its ReLU,
for the logit of the class with the highest score.

- `overlay`: a PNG for each photo in its own size, jet at one half over the photo, quickly compressed.
- `npz`: the map alone in the photo's size, an uncompressed array.
- `figure`: the photo beside the overlay, by matplotlib; gradcam's default, and of no other tool here.
- `forward`: VGG19 in a `tf.function`, forward only, on photos that are in memory already.
- `oneshot`: the wall time of a whole process, for one photo. gradcam makes its default figure, the others
  an overlay. `bare oneshot` imports TensorFlow, reads the weights and makes one forward pass, no map.

The tools take turns, each in a fresh process. But for `oneshot`, start-up, loading and the first batch are
not counted. gradcam works on several batches at once, so that its first lines come late and its last ones
early: the time between the lines of a quarter of the photos and of all but the last two batches counts.
bfloat16 is measured where a tool's framework offers it: in torch the whole network is cast, in TensorFlow
its graph optimizer casts the convolutions and products. xplique does not allow the newest TensorFlow and has 2.20.

The peers are libraries; the loop around them is [tools/harness.py](tools/harness.py), which decodes and
writes in threads while the network computes. Each peer is used in the quickest way that we know: whole
batches; in torch channels last, and no gradient for parameters or for anything before the layer; no second
forward pass to find the class. Overlays are drawn by their own functions, unless they have none or make
pyplot figures; so they look a little different. The recipe of keras.io takes one photo at a time, as it is
taught, but builds its model once. Where the agreement is a little below 1, the tool enlarges its maps in
another way (tf-keras-vis lays corner on corner, xplique is cubic) or leaves the final ReLU out (tf-explain).

## Not run

{not_run}

{odes}

{training}

{classifiers}

{engines}
"""

HEADINGS = ("tool", "version", "precision", "output", "ms/image", "least-most", "ratio", "memory", "agreement")


def page(results: dict[str, Any]) -> str:
    """Return the page in Markdown."""
    agreement = {(a["tool"], a["precision"]): a["median"] for a in results["agreement"]}
    lines = [HEADINGS, ["---"] * 4 + ["---:"] * 5]
    lines += [cells(row, agreement) for row in summarise(results["runs"])]
    return PAGE.format(
        machine=machine(results["setting"]),
        table="\n".join("| " + " | ".join(line) + " |" for line in lines),
        scaling=scaling(),
        methods=methods(),
        odes=odes(),
        training=training(),
        classifiers=classifiers(),
        engines=engines(),
        not_run=not_run(results["not_run"]),
    )


def cells(row: Row, agreement: dict[tuple[str, str], float]) -> list[str]:
    """Return the cells of a line of the table."""
    r = agreement.get((row.tool, row.precision)) if row.kind == "npz" else None
    return [
        row.tool,
        row.version,
        row.precision,
        row.kind,
        f"{row.ms:.1f}",
        f"{row.least:.1f}-{row.most:.1f}",
        "" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.memory_mb:,.0f} MB",
        "" if r is None else f"{r:.4f}",
    ]


def machine(setting: dict[str, Any]) -> str:
    """Return the paragraph that says where and on what the numbers were measured."""
    versions = ", ".join(f"{name} {version}" for name, version in setting["versions"].items())
    instructions = ", ".join(setting["instructions"]) or "none of note"
    return (
        f"Measured on {setting['date']}, commit {setting['commit'] or 'unknown'}: {setting['processor']}, "
        f"{setting['cores']} cores ({instructions}); {versions}. {setting['images']} photos "
        f"({setting['distinct_photos']} different ones, {setting['megapixels']} megapixels on average), "
        f"batches of {setting['batch_size']}, {setting['repeats']} repeats."
    )


def scaling() -> str:
    """Return the section on what scaling.py measured, if it was run."""
    path = HERE / "scaling.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text())
    (few, less), (many, more) = found["megabytes"].items()
    return (
        "## How the cost grows\n\n"
        "![Seconds against photos, and against the depth of the layer](scaling.png)\n\n"
        f"`python benchmarks/scaling.py` ran whole processes on {found['machine']['date']}. {few} photos took "
        f"{less:,} MB at most, {many} photos {more:,} MB ({more / less:.2f} times)."
    )


def methods() -> str:
    """Return the section on what methods.py measured, if it was run."""
    path = HERE / "methods.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text())
    theirs = {row["method"]: row["seconds"] for row in found["rows"] if row["tool"] != "gradcam"}
    lines = ["| method | tool | precision | seconds a photo | times as fast |", "| --- | --- | --- | ---: | ---: |"]
    lines += [
        f"| {row['method']} | {row['tool']} | {row['precision']} | {row['seconds']:.2f} "
        f"| {theirs[row['method']] / row['seconds']:.1f} |"
        for row in found["rows"]
    ]
    return (
        "## Methods that ask the network once a channel\n\n"
        f"`python benchmarks/methods.py` on {found['machine']['date']}, repeats: {found['repeats']}; "
        "pytorch-grad-cam with batches of 32, both for the 512 channels of block5_conv4. "
        "gradcam computes Ablation-CAM behind the layer only, and channels that are zero not at all.\n\n"
        + "\n".join(lines)
    )


def not_run(rows: list[dict[str, str]]) -> str:
    """Return the list of what could not be run, and why."""
    lines = [f"- {row['tool']}, {row['precision']}, {row['kind']}: `{row['reason']}`" for row in rows]
    return "\n".join(lines) or "Everything ran."
