"""What is measured: the tools, each in the precisions and for the outputs that it can give."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from environments import OURS, PLACE, python_of

TOOLS = Path(__file__).resolve().parent / "tools"
LAYER = "block5_conv4"


class Contender(NamedTuple):
    """A tool: its name, its script in tools/, its environment, its package, and what is measured of it."""

    name: str
    script: str
    environment: str
    distribution: str
    kinds: tuple[str, ...] = ("overlay", "npz", "oneshot")
    precisions: tuple[str, ...] = ("float32",)


class Job(NamedTuple):
    """One row of the table."""

    contender: Contender
    precision: str
    kind: str

    @property
    def name(self) -> str:
        """Return a name fit for a directory."""
        return "-".join((self.contender.name.replace(" ", "_"), self.precision, self.kind))


PRECISIONS = ("float32", "bfloat16")
CONTENDERS = (
    Contender("gradcam", "ours.py", OURS, "gradcam-cli", ("overlay", "npz", "figure", "oneshot"), PRECISIONS),
    Contender("pytorch-grad-cam", "peer_pytorch_grad_cam.py", "torch", "grad-cam", precisions=PRECISIONS),
    Contender("torch-cam", "peer_torch_cam.py", "torch", "torchcam", precisions=PRECISIONS),
    Contender("captum", "peer_captum.py", "torch", "captum", precisions=PRECISIONS),
    Contender("tf-keras-vis", "peer_tf_keras_vis.py", "tf-keras-vis", "tf-keras-vis"),
    Contender("tf-explain", "peer_tf_explain.py", "tf-explain", "tf-explain"),
    Contender("xplique", "peer_xplique.py", "xplique", "xplique"),
    Contender("keras.io recipe", "peer_keras_io.py", "tf-keras-vis", "keras"),
    Contender("bare forward", "bare_forward.py", OURS, "tensorflow", kinds=("forward",), precisions=PRECISIONS),
    Contender("bare oneshot", "bare_oneshot.py", OURS, "tensorflow", kinds=("oneshot",)),
)
GRADCAM = CONTENDERS[0]
NAMES = tuple(contender.name for contender in CONTENDERS)
KINDS = ("overlay", "npz", "figure", "forward", "oneshot")


def jobs_of(
    names: Collection[str] = NAMES, kinds: Collection[str] = KINDS, precisions: Collection[str] = PRECISIONS
) -> list[Job]:
    """Return the rows asked for; a photo alone is explained in float32 only."""
    return [
        Job(contender, precision, kind)
        for contender in CONTENDERS
        for precision in contender.precisions
        for kind in contender.kinds
        if contender.name in names and precision in precisions and kind in kinds
        if kind != "oneshot" or precision == "float32"
    ]


def command(job: Job, weights: Path, photos: Path, out: Path, batch_size: int) -> list[str]:
    """Return the words of the command line that measures a job."""
    python, script = str(python_of(job.contender.environment)), str(TOOLS / job.contender.script)
    one_photo = str(min(photos.glob("*.jpg")))
    if job.kind == "oneshot" and job.contender is GRADCAM:
        model = ["--model", "vgg19", "--weights", str(weights), "--layer", LAYER]
        return [str(PLACE / OURS / "bin" / "gradcam"), one_photo, *model, "--output", f"{out}/"]
    if job.contender.name == "bare oneshot":
        return [python, script, str(weights), one_photo]
    options = {"--weights": weights, "--out": out, "--precision": job.precision}
    if job.kind == "oneshot":
        options.update({"--photos": one_photo, "--kind": "overlay", "--batch-size": 1})
    else:
        options.update({"--photos": photos, "--kind": job.kind, "--batch-size": batch_size})
    return [python, script, *(str(word) for option in options.items() for word in option)]
