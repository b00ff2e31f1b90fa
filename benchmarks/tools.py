"""The compared tools: the runner of each in every suite, its virtual environment, its cases and its precisions."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

SUITES = {
    "images": ("overlay", "npz", "figure", "forward", "cold-start"),
    "methods": ("ablationcam", "scorecam"),
    "odes": ("ode-forward", "ode-gradient"),
    "training": ("relu", "softplus", "stem-only"),
}
"""Each suite with its cases."""
CASES = sum(SUITES.values(), ())
MAPS = ("overlay", "npz", "cold-start")
FLOAT32, BOTH = ("float32",), ("float32", "bfloat16")


class Tool(NamedTuple):
    """One compared tool.

    `venv` is a key of `venvs.VENVS`; the table shows the version of `package`, or the commit of gradcam. `runners`
    maps a suite to a script of runners/. `precisions` are those of the suite images without cold-start; all else runs
    in float32. `checkout` is the directory of the gradcam to measure, if not this one.
    """

    name: str
    venv: str
    package: str
    runners: dict[str, str]
    cases: Collection[str] = CASES
    precisions: tuple[str, ...] = FLOAT32
    checkout: str = ""


GRADCAM_RUNNERS = dict.fromkeys(("images", "methods"), "gradcam_runner.py")
GRADCAM_RUNNERS |= {"odes": "run_ode_gradcam.py", "training": "run_training_gradcam.py"}
GRAD_CAM_RUNNERS = dict.fromkeys(("images", "methods"), "run_pytorch_grad_cam.py")
TORCHDIFFEQ_RUNNERS = {"odes": "run_ode_torchdiffeq.py", "training": "run_training_torchdiffeq.py"}
GRADCAM = Tool("gradcam", "gradcam", "", GRADCAM_RUNNERS, set(CASES) - {"forward"}, BOTH)
TOOLS = (
    GRADCAM,
    Tool("bare", "gradcam", "tensorflow", {"images": "run_bare.py"}, ("forward", "cold-start"), BOTH),
    Tool("pytorch-grad-cam", "torch", "grad-cam", GRAD_CAM_RUNNERS, (*MAPS, *SUITES["methods"]), BOTH),
    Tool("torch-cam", "torch", "torchcam", {"images": "run_torch_cam.py"}, MAPS, BOTH),
    Tool("captum", "torch", "captum", {"images": "run_captum.py"}, MAPS, BOTH),
    Tool("xplique", "xplique", "xplique", {"images": "run_xplique.py"}, MAPS),
    Tool("tf-keras-vis", "tf-keras-vis", "tf-keras-vis", {"images": "run_tf_keras_vis.py"}, MAPS),
    Tool("tf-explain", "tf-explain", "tf-explain", {"images": "run_tf_explain.py"}, MAPS),
    Tool("keras.io", "gradcam", "keras", {"images": "run_keras_io.py"}, MAPS),
    Tool("torchdiffeq", "torchdiffeq", "torchdiffeq", TORCHDIFFEQ_RUNNERS),
    Tool("diffrax", "diffrax", "diffrax", {"odes": "run_ode_diffrax.py"}),
)


class Job(NamedTuple):
    """One row of a table: a tool in one case of a suite, in one precision."""

    suite: str
    case: str
    precision: str
    tool: Tool

    @property
    def name(self) -> str:
        """Return a name for files and messages."""
        return "-".join((self.suite, self.case, self.precision, self.tool.name))


def jobs_for(suite: str, tools: Collection[Tool], cases: Collection[str], precisions: Collection[str]) -> list[Job]:
    """Return the rows of a suite, case by case; gradcam's float32 maps come first, since the agreement needs them."""
    return [
        Job(suite, case, precision, tool)
        for case in SUITES[suite]
        if case in cases
        for precision in (BOTH if suite == "images" and case != "cold-start" else FLOAT32)
        if precision in precisions
        for tool in tools
        if suite in tool.runners and case in tool.cases and precision in tool.precisions
    ]
