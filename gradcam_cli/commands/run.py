"""One run of the main command: photos in, files and lines out. Imported when the options are in order."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click

from gradcam_cli.commands.options import start_tensorflow
from gradcam_cli.errors import OutputError
from gradcam_cli.inputs import Source
from gradcam_cli.messages import log, make_room, one_line, say_error
from gradcam_cli.outputs import Destination, Output, paths_by_map
from gradcam_cli.photos import Photo, read_photo
from gradcam_cli.results import Explanation, Unexplained, to_json


def results(
    ctx: click.Context, options: dict[str, Any], jobs: Sequence[tuple[Source, list[Output]]]
) -> Iterator[list[Explanation] | Unexplained]:
    """Yield the result of each job; the model is loaded only when a first photo needs it."""
    photos = read_jobs(jobs, options["max_pixels"], options["skip_existing"])
    waiting: list[Photo | Unexplained] = []
    for photo in photos:
        waiting.append(photo)
        if isinstance(photo, Photo):
            break
    else:
        yield from (photo for photo in waiting if isinstance(photo, Unexplained))
        return
    log.info("loading %s", options["model"])
    start_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    from gradcam_cli.models import load_model
    from gradcam_cli.pipeline import Request, explain_photos, prepare_run

    classifier = load_model(
        options["model"],
        weights=options["weights"],
        labels=options["labels"],
        preprocessing=options["preprocess"],
        input_size=options["input_size"],
        allow_unsafe=options["allow_unsafe_model"],
        offline=options["offline"],
    )
    request = Request(
        layers=options["layers"],
        classes=options["classes"],
        methods=list(dict.fromkeys(options["methods"])),
        score=options["score"],
        fit=options["fit"],
        zoom_order=options["zoom_order"],
        top=options["top"] or 5,
        batch_size=options["batch_size"],
    )
    yield from explain_photos(prepare_run(classifier, request), itertools.chain(waiting, photos))


def read_jobs(
    jobs: Sequence[tuple[Source, list[Output]]], max_pixels: int, skip_existing: bool
) -> Iterator[Photo | Unexplained]:
    """Read the photo of each job, unless its files are there and may stay."""
    for source, outputs in jobs:
        if skip_existing and all(output.path.exists() for output in outputs):
            yield Unexplained(source.name)
        else:
            yield read_photo(source, max_pixels)


class Writer:
    """Write each result's files and its line on standard output, and count."""

    def __init__(self, stdout: TextIO, options: dict[str, Any], destination: Destination) -> None:
        self.stdout = stdout
        self.options = options
        self.destination = destination
        self.look = {name: options[name] for name in ("cmap", "alpha", "dpi")}
        self.counts: Counter[str] = Counter()

    def write(self, source: Source, outputs: Sequence[Output], result: list[Explanation] | Unexplained) -> None:
        """Write one input's result; what cannot be written becomes a failure of this input."""
        lines: list[tuple[Explanation, dict[str, str]]] = []
        if not isinstance(result, Unexplained):
            try:
                lines = [(explanation, self._save(explanation, outputs)) for explanation in result]
            except OutputError as error:
                result = Unexplained(source.name, error.message, error.hint)
        if isinstance(result, Unexplained):
            self._tell_unexplained(result, outputs)
        else:
            self.counts["ok"] += 1
            self._tell(lines)
        self.stdout.flush()

    def _save(self, explanation: Explanation, outputs: Sequence[Output]) -> dict[str, str]:
        """Write the files of one map and return their paths by kind."""
        start = time.perf_counter()
        written: dict[str, str] = {}
        for output in outputs:
            if output.requested != explanation.requested:
                continue
            if self.destination.stdout:
                self.stdout.buffer.write(explanation.encode(output.kind, **self.look))
            else:
                explanation.save(output.path, output.kind, **self.look)
            written[output.kind] = str(output.path)
        explanation.seconds["write"] = time.perf_counter() - start
        return written

    def _tell(self, lines: Sequence[tuple[Explanation, dict[str, str]]]) -> None:
        if self.destination.stdout:
            return
        if self.options["as_json"]:
            for explanation, written in lines:
                self._line(json.dumps(to_json(explanation, written), allow_nan=False))
        else:
            maps = "; ".join(
                f"{explanation.prediction} ({explanation.prediction.probability:.3f}) -> {', '.join(written.values())}"
                for explanation, written in lines
            )
            first = lines[0][0]
            top = "".join(f" | {other} ({other.probability:.3f})" for other in first.top) if self.options["top"] else ""
            self._line(f"{one_line(first.source)}: {one_line(maps)}{one_line(top)}")
        for explanation, _ in lines:
            if explanation.zero:
                log.warning("%s: the map is zero everywhere: %s", one_line(explanation.source), explanation.zero)
            spent = ", ".join(f"{stage} {seconds:.3f} s" for stage, seconds in explanation.seconds.items())
            log.debug("%s: layer %s, %s", one_line(explanation.source), explanation.layer, spent)

    def _tell_unexplained(self, result: Unexplained, outputs: Sequence[Output]) -> None:
        self.counts[result.status] += 1
        if self.options["as_json"]:
            for there in [{}] if result.error else paths_by_map(outputs):
                self._line(json.dumps(to_json(result, there), allow_nan=False))
        if result.error:
            say_error(f"{result.source}: {result.error}", result.hint)
        else:
            log.info("%s: skipped, its files are there already", one_line(result.source))

    def _line(self, text: str) -> None:
        if self.stdout.isatty():
            make_room()
        self.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")

    def exit_status(self) -> int:
        """Return 0 if all is well, 1 if something failed, 3 if nothing could be done."""
        done = self.counts["ok"] + self.counts["skipped"]
        if self.counts.total() > 1:
            log.info(", ".join(f"{count} {status}" for status, count in self.counts.items()))
        return 0 if not self.counts["failed"] else 1 if done else 3
