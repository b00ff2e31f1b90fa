"""What an engine is given and what it gives back.

An engine is a function of jobs and a `JobHandler` that yields one `JobResult` for each job, in their order. Between
`Work.read` and `Work.finish` every engine calls `pipeline.see`, `pipeline.score` and `pipeline.explain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.images.source import Source
from gradcam_cli.output.figures import Cell
from gradcam_cli.output.naming import OutputFile
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import PreparedRun


class ExplainTask(NamedTuple):
    """An input, and what is to be made of it.

    Attributes:
        source: the input.
        outputs: the files that are to be written.
        force: whether it is explained even if all of them are there.
    """

    source: Source
    outputs: list[OutputFile]
    force: bool = False


class JobResult(NamedTuple):
    """What is left of an input when its files are written: the lines to print, and nothing large.

    Attributes:
        status: `ok`, `failed` or `skipped`.
        lines: for standard output.
        log_messages: for standard error, each with its level.
        error: what went wrong and what to do about it, or None.
        report_records: lines for the run's report.
        data: bytes for standard output, where `-o -` wants them there.
        grid_row: of the sheet that shows all inputs, where one is asked for.
    """

    status: str
    lines: list[str]
    log_messages: Sequence[tuple[int, str]] = ()
    error: tuple[str, str | None] | None = None
    report_records: Sequence[dict[str, Any]] = ()
    data: bytes = b""
    grid_row: Sequence[Cell] = ()


class JobHandler(Protocol):
    """What is done with each input. It can be pickled, so that other processes can do it, too."""

    def read(self, task: ExplainTask) -> LoadedImage | Unexplained:
        """Read the photo of a job, or say why there is nothing to explain."""

    def load(self) -> PreparedRun:
        """Load the model and make the run ready; imports TensorFlow."""

    def finish(self, task: ExplainTask, result: list[Explanation] | Unexplained) -> JobResult:
        """Write the files of a job."""
