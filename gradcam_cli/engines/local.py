"""The engine of this process: threads read and finish while one drives the network."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gradcam_cli.engines.job import ExplainTask, JobHandler, JobResult
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.pipeline.parallel import available_cpus, ordered_map


def run_local(
    tasks: Iterable[ExplainTask],
    handler: JobHandler,
    *,
    threads: int | None = None,
    before_load: Callable[[], None] = lambda: None,
) -> Generator[JobResult]:
    """Do all jobs; the model is loaded only when a first photo needs it.

    Args:
        tasks: drawn as they are needed.
        handler: what is done with each.
        threads: threads that read and finish; None for one a core.
        before_load: called once, before TensorFlow is imported.
    """
    tasks = iter(tasks)
    for job in tasks:
        first = handler.read(job)
        if isinstance(first, LoadedImage):
            yield from _explain_all(
                itertools.chain([(job, first)], ((job, None) for job in tasks)), handler, threads, before_load
            )
            return
        yield handler.finish(job, first)


def _explain_all(
    items: Iterable[tuple[ExplainTask, LoadedImage | None]],
    handler: JobHandler,
    threads: int | None,
    before_load: Callable[[], None],
) -> Generator[JobResult]:
    before_load()
    from gradcam_cli.pipeline import stages

    run = handler.load()
    threads = threads or available_cpus()
    ahead = run.batch_size + threads
    taken: deque[ExplainTask] = deque()

    def noted() -> Iterator[tuple[ExplainTask, LoadedImage | None]]:
        for job, photo in items:
            taken.append(job)
            yield job, photo

    def read_and_see(item: tuple[ExplainTask, LoadedImage | None]) -> Any:
        job, photo = item
        return stages.to_model_input(run, photo or handler.read(job))

    def explain_and_finish(scored: tuple[ExplainTask, Any]) -> JobResult:
        return handler.finish(scored[0], stages.make_explanations(run, scored[1]))

    with ThreadPoolExecutor(threads) as pool:
        seen = ordered_map(pool, read_and_see, noted(), ahead)
        scored = ((taken.popleft(), one) for one in stages.run_batches(run, seen))
        yield from ordered_map(pool, explain_and_finish, scored, ahead)
