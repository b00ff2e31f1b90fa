"""A server of the built-in model `mini` and two photos, called in this process."""

import pytest
from serving_client import blocks, png, served

from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.serving.session import Session


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A directory with two photos, one in a folder."""
    directory = tmp_path_factory.mktemp("photos")
    (directory / "more").mkdir()
    (directory / "a b.png").write_bytes(png(blocks(1)))
    (directory / "more" / "c.png").write_bytes(png(blocks(2, 400, 300)))
    (directory / "notes.txt").write_text("no image")
    return directory


@pytest.fixture(scope="session")
def mini(photos):
    """A server of `mini`, shared by the tests of a process."""
    return served(Session([ModelConfig("mini")], ExplainConfig(), directory=str(photos)))
