"""The thread that runs the networks, and the cache of what they computed."""

import threading

import pytest

from gradcam_cli.serving import worker as worker_module
from gradcam_cli.serving.byte_cache import ByteCache
from gradcam_cli.serving.worker import Busy, Worker


@pytest.fixture
def blocked():
    """A worker that is busy until its event is set."""
    worker, event, started = Worker(), threading.Event(), threading.Event()
    worker.submit(lambda: (started.set(), event.wait(30)))
    started.wait(30)
    yield worker, event
    event.set()
    assert worker.stop(30)


def test_one_function_runs_at_a_time_and_requests_come_first(blocked):
    worker, event = blocked
    order, running = [], threading.Lock()

    def run(name):
        assert running.acquire(blocking=False)
        order.append(name)
        running.release()

    futures = [worker.submit(lambda: run("layer"), background=True)]
    futures += [worker.submit(lambda i=i: run(i)) for i in range(5)]
    event.set()
    for future in futures:
        future.result(30)
    assert order == [0, 1, 2, 3, 4, "layer"]


def test_a_request_that_is_withdrawn_does_not_run(blocked):
    worker, event = blocked
    ran = []
    withdrawn, last = worker.submit(lambda: ran.append(1)), worker.submit(lambda: ran.append(2))
    withdrawn.cancel()
    event.set()
    last.result(30)
    assert ran == [2]


def test_an_error_goes_to_its_caller_and_the_next_function_runs():
    worker = Worker()
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(30)
    assert worker.submit(lambda: 3).result(30) == 3
    assert worker.stop(30)


def test_too_many_requests_are_refused(blocked, monkeypatch):
    worker, _ = blocked
    monkeypatch.setattr(worker_module, "MAX_WAITING", 2)
    worker.submit(int)
    worker.submit(int)
    with pytest.raises(Busy):
        worker.submit(int)


def test_the_cache_drops_what_was_used_least_recently():
    cache = ByteCache(10)
    for key, nbytes in (("a", 4), ("b", 4)):
        cache.put(key, key.upper(), nbytes)
    assert cache.get("a") == "A"
    cache.put("c", "C", 4)
    assert [cache.get(key) for key in "abc"] == ["A", None, "C"]
    assert (len(cache), cache.nbytes) == (2, 8)


def test_a_value_that_grows_counts_with_its_new_size():
    cache = ByteCache(10)
    cache.put("a", 1, 2)
    cache.put("b", 2, 2)
    cache.put("b", 2, 9)
    assert (cache.get("a"), cache.get("b"), cache.nbytes) == (None, 2, 9)


def test_a_value_above_the_limit_is_alone():
    cache = ByteCache(10)
    cache.put("a", 1, 5)
    cache.put("b", 2, 50)
    assert (len(cache), cache.nbytes) == (1, 50)
