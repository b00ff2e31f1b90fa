"""Figures as PNG, JPEG, PDF and SVG files."""

import json
import re
import time
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.figure_files import encode_figure, read_vector_comment
from gradcam_cli.output.figures import side_by_side_figure
from gradcam_cli.output.render_options import RenderOptions

COMMENT = json.dumps({"name": 'a (b) <c> & \\ "d" \u00e4', "list": [1, 2]})


def figure():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    bar = ColorBar(0.125, 0.125, "gradcam (logit)", RenderOptions())
    return side_by_side_figure(image, image, ["cat.png", "281 tabby <x> & y", "gradcam · conv 14x14"], bar, 60)


@pytest.mark.parametrize("image_format", ["pdf", "svg"])
def test_equal_figures_give_equal_bytes(image_format):
    """No date and no random number is in the file, also a second later."""
    first = encode_figure(figure(), image_format, COMMENT)
    time.sleep(1.1)
    assert encode_figure(figure(), image_format, COMMENT) == first
    assert not re.search(rb"CreationDate|<dc:date>|20[0-9]{2}-[01][0-9]-", first)


@pytest.mark.parametrize("image_format", ["pdf", "svg"])
def test_comments_are_read_back(image_format):
    assert read_vector_comment(encode_figure(figure(), image_format, COMMENT)) == COMMENT
    assert read_vector_comment(encode_figure(figure(), image_format)) is None
    assert read_vector_comment(b"other") is None


def test_svg_contains_its_words_as_text():
    root = ET.fromstring(encode_figure(figure(), "svg", COMMENT))
    texts = {"".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"cat.png", "281 tabby <x> & y", "gradcam · conv 14x14", "gradcam (logit)", "0", "0.125"} <= texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 3


def test_pdf_contains_its_words_as_text():
    """The content stream shows text in TrueType fonts: UTF-16, with kerning between the characters."""
    data = encode_figure(figure(), "pdf", COMMENT)
    assert data.startswith(b"%PDF-1.4")
    assert data.rstrip().endswith(b"%%EOF")
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    contents = [zlib.decompressobj().decompress(stream) for stream in streams if stream[:1] == b"x"]
    (page,) = (content for content in contents if b"Tf" in content)
    shown = set()
    for parts in re.findall(rb"\[(.*?)\]\s*TJ", page, re.DOTALL):
        text = b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", parts, re.DOTALL))
        shown.add(re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL).decode("utf-16-be"))
    assert {"cat.png", "281 tabby <x> & y", "gradcam · conv 14x14", "gradcam (logit)", "0.125"} <= shown
    assert b"/FontFile2" in data  # TrueType
    assert b"/Type3" not in data
