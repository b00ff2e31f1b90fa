"""Valid files with bytes changed, inserted and removed, drawn by Hypothesis."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

fuzz_examples = pytest.mark.parametrize("examples", [40, pytest.param(5_000, marks=pytest.mark.extended)])


def check_property(examples, strategy, check):
    """Check a property on a number of examples: below 1000 always the same ones, otherwise new ones."""
    few = examples < 1000
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=few,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    chosen(given(strategy)(check))()


def value_or_error(kind, read, *arguments):
    """Return (value, None), or (None, error) for an error of the allowed class."""
    try:
        return read(*arguments), None
    except kind as error:
        return None, error


CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.integers(0, 255),  # another byte
            st.binary(min_size=1, max_size=8),  # bytes put in
            st.just(None),  # the rest cut off
            st.floats(0, 0.1),  # a share taken out
        ),
    ),
    min_size=1,
    max_size=5,
)


def mutated(*valid: bytes):
    return st.builds(mutate, st.sampled_from(valid), CHANGES)


def mutate(data: bytes, changes) -> bytes:
    for where, change in changes:
        place = int(where * len(data))
        if isinstance(change, int):
            data = data[:place] + bytes([change]) + data[place + 1 :]
        elif isinstance(change, bytes):
            data = data[:place] + change + data[place:]
        elif change is None:
            data = data[:place]
        else:
            data = data[:place] + data[place + int(change * len(data)) :]
    return data
