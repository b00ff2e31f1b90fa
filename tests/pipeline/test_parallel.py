"""Work done by several threads, handed over in order."""

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
    """Also where the first takes longest."""

    def work(number):
        time.sleep(0.05 if number == 0 else 0)
        return number * number

    assert list(ordered_map(pool, work, range(20), max_pending=5)) == [number * number for number in range(20)]


def test_no_more_than_ahead_are_taken_up(pool):
    """Memory stays bounded however many items there are: a slow consumer holds the items back."""
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(pool, str, items(), max_pending=7)
    for count in range(1, 50):
        next(results)
        assert len(taken) <= count + 6


def test_work_goes_on_while_the_next_item_is_made(pool):
    """The first item is worked on by another thread while this one still makes the second."""
    begun = threading.Event()

    def items():
        yield "first"
        assert begun.wait(5)
        yield "second"

    def work(item):
        begun.set()
        return item

    assert list(ordered_map(pool, work, items(), max_pending=3)) == ["first", "second"]


def test_an_error_is_raised_at_its_turn(pool):
    def work(number):
        return 1 // number

    results = ordered_map(pool, work, [1, 1, 0, 1], max_pending=4)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
