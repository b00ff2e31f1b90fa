"""The peak memory of a run over many large images."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

MEASURE = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "gradcam_cli", *sys.argv[1:]], stdout=subprocess.PIPE)
print(done.returncode, len(done.stdout.splitlines()), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.extended
def test_200_images_of_24_megapixels_in_3_gb(tmp_path):
    """Default outputs of the built-in network; three images and 197 links to them."""
    (tmp_path / "photos").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
        image = Image.fromarray(pixels).resize((6000, 4000), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"photos/{number}.jpg", quality=90)
    for number in range(3, 200):
        os.link(tmp_path / f"photos/{number % 3}.jpg", tmp_path / f"photos/{number}.jpg")
    command = [sys.executable, "-c", MEASURE, "photos", "--model", "mini"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    status, count, kilobytes = map(int, done.stdout.split())
    assert (status, count) == (0, 200)
    assert kilobytes < 3_000_000
