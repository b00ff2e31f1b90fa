"""Which cases of a test run in `make test`; the others are of the same kind, and run in `make test-all`."""

import pytest


def first_quick(cases, count=1):
    """Return the cases of a test, of one value each; those after the first ones are extended."""
    cases = list(cases)
    return [*cases[:count], *(pytest.param(case, marks=pytest.mark.extended) for case in cases[count:])]
