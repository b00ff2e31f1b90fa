"""Every command and program of the README runs, in its own process."""

import pytest
from doc_blocks import README, numbered, run_program, run_shell_block

from gradcam_cli.cli.explain import explain


@pytest.fixture
def with_weights(workspace, vgg19_weights, monkeypatch):
    """The workspace, with GRADCAM_WEIGHTS set."""
    monkeypatch.setenv("GRADCAM_WEIGHTS", str(vgg19_weights))
    return workspace


@pytest.mark.slow
@pytest.mark.parametrize("block", numbered([README], "sh"))
def test_commands_of_the_readme_run(with_weights, block, request):
    run_shell_block(block, with_weights, request)


@pytest.mark.slow
@pytest.mark.parametrize("block", numbered([README], "python"))
def test_program_of_the_readme_runs(with_weights, block):
    assert len(block.strip().splitlines()) == 6
    assert "(427, 640)" in run_program(block)
    assert (with_weights / "cat_map.png").exists()


def test_front_page_has_at_most_200_lines():
    assert len(README.read_text().splitlines()) <= 200


def test_all_exit_statuses_are_listed():
    for status in ("0", "1", "2", "3", "4", "130, 143"):
        assert f"| {status} |" in README.read_text()


def test_every_option_has_a_help_text():
    for parameter in explain.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
