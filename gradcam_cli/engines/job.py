"""The interface between a command and the engine that runs it.

An engine is a function of tasks and a `JobHandler` that yields one `JobResult` per task, in the order of the tasks.
Between `JobHandler.read` and `JobHandler.finish` every engine calls `to_model_input`, `stages.run_batches` and
`stages.make_explanations`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.images.source import Source
from gradcam_cli.output.grids import GridRow
from gradcam_cli.output.naming import OutputFile
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import PreparedRun


class ExplainTask(NamedTuple):
    """An input and its output files.

    Attributes:
        source: the input.
        outputs: the files to write.
        force: whether the input is explained even if all its files exist.
    """

    source: Source
    outputs: list[OutputFile]
    force: bool = False


class JobResult(NamedTuple):
    """The result of a task after its files are written; it contains no arrays except those of `grid_rows`.

    Attributes:
        status: `ok`, `failed` or `skipped`.
        lines: lines for standard output.
        log_messages: messages for standard error, with their levels.
        error: error message, hint, and the file that failed; or None.
        report_records: records for the report of the run.
        data: bytes for standard output, with `-o -`.
        grid_rows: rows of the grid figure that all inputs share, if there is one.
        num_maps: maps that were written.
        num_replaced: existing files that had another origin and were replaced.
        truth: JSON object of the true class and the prediction, or None without true classes.
        left_out: whether `--only` does not select the input.
    """

    status: str
    lines: list[str]
    log_messages: Sequence[tuple[int, str]] = ()
    error: tuple[str, str | None, str] | None = None
    report_records: Sequence[Record] = ()
    data: bytes = b""
    grid_rows: Sequence[GridRow] = ()
    num_maps: int = 0
    num_replaced: int = 0
    truth: Mapping[str, Any] | None = None
    left_out: bool = False


class JobHandler(Protocol):
    """The work on each input. A handler can be pickled, so that other processes can run it."""

    def read(self, task: ExplainTask) -> LoadedImage | Unexplained:
        """Read the image of a task, or return why it is not explained."""

    def load(self) -> PreparedRun:
        """Load the model and prepare the run; imports TensorFlow."""

    def finish(self, task: ExplainTask, result: list[Explanation] | Unexplained) -> JobResult:
        """Write the files of a task."""


def iter_tasks(
    planned: Iterable[tuple[Source, list[OutputFile]]], completed: Collection[str] | None, max_inputs: int
) -> Iterator[ExplainTask]:
    """Yield the tasks of a run.

    An input that a resumed report does not list is recomputed, even if its files exist: a run that was killed after
    it wrote the files, and before it logged them, leaves such inputs.

    Args:
        planned: the inputs with their output files.
        completed: the inputs that the resumed report lists; None if no report is resumed.
        max_inputs: number of inputs that a report lists.
    """
    for number, (source, outputs) in enumerate(planned):
        missing = completed is not None and number < max_inputs and source.name not in completed
        yield ExplainTask(source, outputs, force=missing)
