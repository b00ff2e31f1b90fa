"""The parallel map: results in the order of the items, at most `max_pending` of them pending."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradcam_cli.pipeline.parallel import ordered_map


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_results_come_in_the_order_of_the_items(pool):
    """Even if the first item takes longest."""

    def work(number):
        time.sleep(0.05 if number == 0 else 0)
        return number * number

    assert list(ordered_map(pool, work, range(20), max_pending=5)) == [number * number for number in range(20)]


def test_at_most_max_pending_items_are_taken(pool):
    """A slow consumer delays the reading of items, so the memory is limited."""
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(pool, str, items(), max_pending=7)
    for count in range(1, 50):
        next(results)
        assert len(taken) <= count + 6


def test_items_are_processed_while_the_next_is_produced(pool):
    """Another thread processes the first item while this thread produces the second."""
    started = threading.Event()

    def items():
        yield "first"
        assert started.wait(5)
        yield "second"

    def work(item):
        started.set()
        return item

    assert list(ordered_map(pool, work, items(), max_pending=3)) == ["first", "second"]


def test_error_is_raised_in_order(pool):
    def work(number):
        return 1 // number

    results = ordered_map(pool, work, [1, 1, 0, 1], max_pending=4)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
