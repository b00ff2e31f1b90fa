"""Fixtures of the command-line tests: the command with a small network."""

import pytest


@pytest.fixture
def small(cli, model_file):
    """Run the command with the small network."""

    def invoke(*arguments, **options):
        return cli(*arguments, "--model", model_file, "--preprocess", "-1..1", **options)

    invoke.here = cli.here
    invoke.model = model_file
    return invoke
