"""Every line of the README that a reader may type is typed here."""

import pytest
from doc_blocks import README, numbered, run_program, run_shell_block

from gradcam_cli.cli.explain import explain


@pytest.fixture
def with_weights(workspace, vgg19_weights, monkeypatch):
    """A newcomer's folder; the weights of VGG19 are found."""
    monkeypatch.setenv("GRADCAM_WEIGHTS", str(vgg19_weights))
    return workspace


@pytest.mark.slow
@pytest.mark.parametrize("block", numbered([README], "sh"))
def test_shell_blocks(with_weights, block, request):
    run_shell_block(block, with_weights, request)


@pytest.mark.slow
@pytest.mark.parametrize("block", numbered([README], "python"))
def test_python_lines(with_weights, block):
    assert len(block.strip().splitlines()) == 6
    assert "(427, 640)" in run_program(block)
    assert (with_weights / "cat_map.png").exists()


def test_the_front_page_is_short():
    assert len(README.read_text().splitlines()) <= 200


def test_exit_statuses_are_all_there():
    for status in ("0", "1", "2", "3", "4", "130, 143"):
        assert f"| {status} |" in README.read_text()


def test_every_option_is_in_the_help():
    """The help of the main command names each option with a text."""
    for parameter in explain.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
