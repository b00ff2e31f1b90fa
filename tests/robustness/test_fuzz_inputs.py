"""Readers of signals, volumes and films return finite values or raise InputError, for any bytes."""

import io

import numpy as np
import pytest
from fuzzing import check_property, fuzz_examples, mutated, value_or_error
from hypothesis import strategies as st
from malformed_inputs import OPTIONS, WHOLE
from scipy.io import wavfile

from gradcam_cli.errors import InputError
from gradcam_cli.images.wave_files import read_wave

pytestmark = [pytest.mark.filterwarnings(f"ignore:::{name}") for name in ("PIL", "pydicom", "scipy")]
pytestmark.append(pytest.mark.filterwarnings("ignore::scipy.io.wavfile.WavFileWarning"))


def wav(dtype):
    file = io.BytesIO()
    wavfile.write(file, 100, np.arange(20, dtype=dtype).reshape(10, 2))
    return file.getvalue()


def wave(data):
    return read_wave(data, OPTIONS)


READERS = {
    **{kind: ([data], read) for kind, (data, read) in WHOLE.items()},
    "WAV": ([wav("u1"), wav("i2"), wav("f4")], wave),
}


@fuzz_examples
@pytest.mark.parametrize("kind", READERS)
def test_mutated_file_is_read_or_refused(kind, examples):
    """No value is NaN or infinite, and no input is larger than the limit."""
    valid, read = READERS[kind]

    def check(data):
        seen, error = value_or_error(InputError, read, data)
        if error:
            assert error.message
            assert "\n" not in error.message
            return
        assert np.isfinite(seen.pixels).all()
        assert 0 < np.prod(seen.pixels.shape[: seen.space.rank]) <= OPTIONS.max_pixels
        assert seen.bands is None or np.isfinite(seen.bands.values).all()

    check_property(examples, mutated(*valid), check)


@fuzz_examples
def test_random_bytes_after_a_signature_are_read_or_refused(examples):
    """Each reader gets random bytes after the signature of any format."""
    signatures = [data[:size] for valid, _ in READERS.values() for data in valid for size in (0, 4, 12, 132)]
    readers = list(dict.fromkeys(read for _, read in READERS.values()))

    def check(data):
        for read in readers:
            value_or_error(InputError, read, data)

    check_property(examples, st.builds(bytes.__add__, st.sampled_from(signatures), st.binary(max_size=200)), check)
