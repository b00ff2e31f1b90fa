"""The engine of this process: threads read and finish while one drives the network."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gradcam_cli.engines.job import Finished, Job, Work
from gradcam_cli.images.load import Photo
from gradcam_cli.pipeline.parallel import cores, in_order


def run_here(
    jobs: Iterable[Job], work: Work, *, workers: int | None = None, before_load: Callable[[], None] = lambda: None
) -> Generator[Finished]:
    """Do all jobs; the model is loaded only when a first photo needs it.

    Args:
        jobs: drawn as they are needed.
        work: what is done with each.
        workers: threads that read and finish; None for one a core.
        before_load: called once, before TensorFlow is imported.
    """
    jobs = iter(jobs)
    for job in jobs:
        first = work.read(job)
        if isinstance(first, Photo):
            yield from _explain_all(
                itertools.chain([(job, first)], ((job, None) for job in jobs)), work, workers, before_load
            )
            return
        yield work.finish(job, first)


def _explain_all(
    items: Iterable[tuple[Job, Photo | None]], work: Work, workers: int | None, before_load: Callable[[], None]
) -> Generator[Finished]:
    before_load()
    from gradcam_cli.pipeline import stages

    run = work.load()
    workers = workers or cores()
    ahead = run.batch_size + workers
    taken: deque[Job] = deque()

    def noted() -> Iterator[tuple[Job, Photo | None]]:
        for job, photo in items:
            taken.append(job)
            yield job, photo

    def read_and_see(item: tuple[Job, Photo | None]) -> Any:
        job, photo = item
        return stages.see(run, photo or work.read(job))

    def explain_and_finish(scored: tuple[Job, Any]) -> Finished:
        return work.finish(scored[0], stages.explain(run, scored[1]))

    with ThreadPoolExecutor(workers) as pool:
        seen = in_order(pool, read_and_see, noted(), ahead)
        scored = ((taken.popleft(), one) for one in stages.score(run, seen))
        yield from in_order(pool, explain_and_finish, scored, ahead)
