"""HEIC photos: with the extra they are read as other photos are, without it the error names it."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images import heif
from gradcam_cli.images.decode import decode, memory_to_decode
from gradcam_cli.images.discover import find_sources
from gradcam_cli.images.read_options import ReadOptions

PIXELS = np.random.default_rng(0).integers(40, 216, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)
HEIC_START = b"\0\0\0\x1cftypheic" + bytes(64)


@pytest.fixture
def heic():
    """Return the bytes of a HEIC photo of `PIXELS`."""
    pytest.importorskip("pillow_heif")
    heif.register()

    def encode(**options):
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, "HEIF", quality=95, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def not_installed(monkeypatch):
    """The package cannot be imported."""
    heif.register.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(heif, "is_installed", lambda: False)
    yield
    heif.register.cache_clear()


def test_the_error_names_the_extra(not_installed, cli):
    with pytest.raises(InputError, match="requires the package pillow-heif") as caught:
        decode(HEIC_START)
    assert caught.value.hint == "pip install 'gradcam-cli[heif]'"
    (cli.here / "a.heic").write_bytes(HEIC_START)
    done = cli("a.heic", "--model", "mini")
    assert done.status == 3
    assert "error: a.heic: a HEIC photo requires the package pillow-heif\nhint: pip install 'gradcam" in done.stderr


def test_pixels_are_those_of_the_photo(heic):
    """Each block of 16x16 pixels keeps its mean color to 4 of 255, as a photo of quality 95 does."""
    decoded = decode(heic())
    assert decoded.shape == PIXELS.shape
    means = [pixels.reshape(6, 16, 8, 16, 3).mean((1, 3)) for pixels in (decoded.astype(float), PIXELS.astype(float))]
    assert np.abs(means[0] - means[1]).mean() < 4


def test_the_size_is_limited_before_pixels_are_decoded(heic):
    data = heic()
    with pytest.raises(InputError, match="too large: "):
        decode(data, max_pixels=1000)
    with pytest.raises(InputError, match="too large: "):
        memory_to_decode(io.BytesIO(data), ReadOptions(max_pixels=1000))
    assert memory_to_decode(io.BytesIO(data)) >= PIXELS.size


def reason(data):
    """Return why bytes are refused, or None."""
    try:
        decode(data)
    except InputError as error:
        return error.message
    return None


def test_damaged_photos_are_refused_in_one_line(heic):
    """A photo that ends anywhere, or has changed bytes, is refused or decoded; libheif's newlines are removed."""
    data = heic()
    for end in (*range(12, 200, 20), len(data) // 2, len(data) - 1):
        assert reason(data[:end]).startswith(("damaged image", "not an image"))
    rng = np.random.default_rng(1)
    changed = [bytearray(data) for _ in range(100)]
    for copy in changed:
        for place in rng.integers(8, len(data), 4):
            copy[place] = rng.integers(256)
    reasons = {reason(bytes(copy)) for copy in changed} - {None}
    assert any(text.startswith("damaged image: ") for text in reasons)
    assert not [text for text in reasons if "\n" in text]


def test_directories_contain_them_if_they_can_be_read(heic, tmp_path, caplog):
    (tmp_path / "a.HEIC").write_bytes(heic())
    (source,) = find_sources([str(tmp_path)])
    assert decode(source.read()).shape == PIXELS.shape
    assert not caplog.records


def test_avif_needs_a_pillow_that_reads_it(monkeypatch):
    start = b"\0\0\0\x1cftypavif" + bytes(64)
    with pytest.raises(InputError, match=r"damaged|not an image"):
        decode(start)
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    with pytest.raises(InputError, match=r"requires Pillow 11\.3"):
        decode(start)


@pytest.mark.parametrize(("brand", "expected"), [(b"heic", True), (b"mif1", True), (b"avif", False), (b"mp42", False)])
def test_photos_are_recognized_by_their_brand(brand, expected):
    assert heif.is_heif(b"\0\0\0\x1cftyp" + brand) is expected
