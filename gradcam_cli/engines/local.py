"""The local engine: one thread runs the network, other threads read and write."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gradcam_cli.engines.job import ExplainTask, JobHandler, JobResult
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.images.memory import ACTIVE
from gradcam_cli.pipeline.parallel import available_cpus, ordered_map

if TYPE_CHECKING:
    from gradcam_cli.pipeline.model_input import ModelInput
    from gradcam_cli.pipeline.stages import ForwardResult

TaskImage = tuple[ExplainTask, LoadedImage | None]
"""A task and its image, or None if the image has not been read."""


def run_local(
    tasks: Iterable[ExplainTask],
    handler: JobHandler,
    *,
    threads: int | None = None,
    before_load: Callable[[], None] = lambda: None,
) -> Generator[JobResult]:
    """Run all tasks; the model is loaded when the first image has been read.

    Args:
        tasks: iterated lazily.
        handler: the work on each task.
        threads: number of threads that read and write; None for one per core.
        before_load: called once, before TensorFlow is imported.
    """
    tasks = iter(tasks)
    for task in tasks:
        image = handler.read(task)
        if isinstance(image, LoadedImage):
            remaining: Iterator[TaskImage] = ((later_task, None) for later_task in tasks)
            yield from _explain_all(itertools.chain([(task, image)], remaining), handler, threads, before_load)
            return
        yield handler.finish(task, image)


def _explain_all(
    items: Iterable[TaskImage], handler: JobHandler, threads: int | None, before_load: Callable[[], None]
) -> Generator[JobResult]:
    before_load()
    from gradcam_cli.pipeline import stages
    from gradcam_cli.pipeline.model_input import to_model_input

    run = handler.load()
    threads = threads or available_cpus()
    max_pending = run.batch_size + threads
    task_order: deque[ExplainTask] = deque()

    def track_order() -> Iterator[TaskImage]:
        for task, image in items:
            task_order.append(task)
            yield task, image

    def load_and_resize(item: TaskImage) -> ModelInput | Unexplained:
        task, image = item
        with ACTIVE.task():
            return to_model_input(run, image or handler.read(task))

    def explain_and_finish(item: tuple[ExplainTask, ForwardResult | Unexplained]) -> JobResult:
        task, forward_result = item
        with ACTIVE.task():
            return handler.finish(task, stages.make_explanations(run, forward_result))

    with ThreadPoolExecutor(threads) as pool:
        model_inputs = ordered_map(pool, load_and_resize, track_order(), max_pending)
        forward_results = ((task_order.popleft(), result) for result in stages.run_batches(run, model_inputs))
        yield from ordered_map(pool, explain_and_finish, forward_results, max_pending)
