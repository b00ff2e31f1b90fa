"""WAV files: the values of every sample format against bytes written by hand."""

import io
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from gradcam_cli.errors import InputError
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.wave_files import read_wave

OPTIONS = ReadOptions(rank=1)
PCM, FLOAT, MU_LAW = 1, 3, 7


def wav(samples: bytes, bits=16, channels=1, rate=8000, kind=PCM, declared=None) -> bytes:
    """A WAV file written by hand."""
    block = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, channels, rate, rate * block, block, bits)
    size = len(samples) if declared is None else declared
    body = b"WAVE" + form + struct.pack("<4sI", b"data", size) + samples + bytes(len(samples) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (wav(bytes([0, 128, 192, 255]), bits=8), [-1, 0, 0.5, 127 / 128]),
        (wav(struct.pack("<4h", -32768, 0, 16384, 32767)), [-1, 0, 0.5, 32767 / 32768]),
        (wav(b"\0\0\x80" + b"\0\0\0" + b"\0\0\x40" + b"\1\0\0", bits=24), [-1, 0, 0.5, 2**-23]),
        (wav(struct.pack("<3i", -(2**31), 0, 2**30), bits=32), [-1, 0, 0.5]),
        (wav(struct.pack("<3f", -3.5, 0, 0.25), bits=32, kind=FLOAT), [-3.5, 0, 0.25]),
        (wav(struct.pack("<3d", -3.5, 0, 0.25), bits=64, kind=FLOAT), [-3.5, 0, 0.25]),
    ],
    ids=["8", "16", "24", "32", "float 32", "float 64"],
)
def test_samples_have_their_value(data, expected):
    """Integers are divided by their full scale, floats are as they are stored."""
    signal = read_wave(data, OPTIONS)
    assert signal.pixels.dtype == np.float32
    assert signal.pixels[:, 0].tolist() == np.float32(expected).tolist()
    assert signal.bands.values is signal.pixels
    assert not signal.bands.scaled
    assert (signal.space.kind, signal.space.spacing) == ("signal", (1 / 8000,))


def test_stereo_has_two_channels():
    """The file is written by the module wave; its channels are columns."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((2, 2, 500, 0, "NONE", ""))
        writer.writeframes(struct.pack("<6h", 1, -1, 2, -2, 3, -3))
    signal = read_wave(file.getvalue(), OPTIONS)
    assert (signal.pixels * 32768).tolist() == [[1, -1], [2, -2], [3, -3]]
    assert signal.space.spacing == (0.002,)


def test_long_signals_are_converted_in_parts():
    samples = np.arange(600_000, dtype=np.int32) << 8
    file = io.BytesIO()
    wavfile.write(file, 100, samples)
    assert np.array_equal(read_wave(file.getvalue(), OPTIONS).pixels[:, 0], np.float32(samples / 2**31))


SHORT = wav(bytes(8))
REFUSED = {
    "empty": (b"", "damaged WAV file"),
    "no WAVE": (SHORT.replace(b"WAVE", b"AVI "), "damaged WAV file"),
    "compressed": (wav(bytes(8), bits=8, kind=MU_LAW), "MULAW"),
    "no channels": (wav(bytes(8), channels=0), "damaged WAV file"),
    "no samples": (wav(b""), "expected at least one sample"),
    "no format": (b"RIFF\x10\0\0\0WAVEdata\4\0\0\0abcd", "damaged WAV file"),
    "no data": (SHORT[:36], "damaged WAV file"),
    "rate 0": (wav(bytes(8), rate=0), "positive sampling rate"),
    "longer than the file": (wav(bytes(8), declared=1 << 31), "expected 2,147,483,648 more bytes, got 8"),
    "a sample is missing": (wav(bytes(8), declared=10), "expected 10 more bytes, got 8"),
    "half a sample": (wav(bytes(7), channels=2), "damaged WAV file"),
    "format of 4 GB": (SHORT.replace(b"fmt \x10\0\0\0", b"fmt \xff\xff\xff\xff"), "damaged WAV file"),
    "NaN": (wav(struct.pack("<f", np.nan), bits=32, kind=FLOAT), "finite values"),
    "too large for float32": (wav(struct.pack("<d", 1e300), bits=64, kind=FLOAT), "finite values"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore:::scipy")
def test_malformed_files_are_refused(case):
    data, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        read_wave(data, OPTIONS)


@pytest.mark.filterwarnings("ignore::scipy.io.wavfile.WavFileWarning")
def test_truncated_files_are_refused():
    whole = wav(struct.pack("<20h", *range(20)))
    for length in range(len(whole)):
        with pytest.raises(InputError):
            read_wave(whole[:length], OPTIONS)


def test_the_size_is_limited():
    with pytest.raises(InputError, match=r"too large: expected at most 3 samples .* got 4 samples"):
        read_wave(SHORT, ReadOptions(max_pixels=3, rank=1))
    assert read_wave(SHORT, ReadOptions(max_pixels=4, rank=1)).pixels.shape == (4, 1)
