"""What an engine is given and what it gives back.

An engine is a function of jobs and a `Work` that yields one `Finished` for each job, in their order. Between
`Work.read` and `Work.finish` every engine calls `pipeline.see`, `pipeline.score` and `pipeline.explain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gradcam_cli.images.load import Photo, Unexplained
from gradcam_cli.images.source import Source
from gradcam_cli.output.figures import Cell
from gradcam_cli.output.naming import Output
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import Run


class Job(NamedTuple):
    """An input, and what is to be made of it.

    Attributes:
        source: the input.
        outputs: the files that are to be written.
        again: whether it is explained even if all of them are there.
    """

    source: Source
    outputs: list[Output]
    again: bool = False


class Finished(NamedTuple):
    """What is left of an input when its files are written: the lines to print, and nothing large.

    Attributes:
        status: `ok`, `failed` or `skipped`.
        lines: for standard output.
        remarks: for standard error, each with its level.
        error: what went wrong and what to do about it, or None.
        reported: lines for the run's report.
        data: bytes for standard output, where `-o -` wants them there.
        row: of the sheet that shows all inputs, where one is asked for.
    """

    status: str
    lines: list[str]
    remarks: Sequence[tuple[int, str]] = ()
    error: tuple[str, str | None] | None = None
    reported: Sequence[dict[str, Any]] = ()
    data: bytes = b""
    row: Sequence[Cell] = ()


class Work(Protocol):
    """What is done with each input. It can be pickled, so that other processes can do it, too."""

    def read(self, job: Job) -> Photo | Unexplained:
        """Read the photo of a job, or say why there is nothing to explain."""

    def load(self) -> Run:
        """Load the model and make the run ready; imports TensorFlow."""

    def finish(self, job: Job, result: list[Explanation] | Unexplained) -> Finished:
        """Write the files of a job."""
