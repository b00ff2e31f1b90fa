"""The budget of bytes in flight: it is never exceeded, nothing waits for ever, and no result changes."""

import gc
import pickle
import random
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images import decode, memory
from gradcam_cli.images.box import Box
from gradcam_cli.images.encode import encode
from gradcam_cli.images.load import Failure, LoadedImage, load_image
from gradcam_cli.images.memory import ByteBudget, bands
from gradcam_cli.images.source import Source
from gradcam_cli.methods import maps
from gradcam_cli.output import colors
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.model_input import to_model_input


def test_budget_is_never_exceeded():
    """Eight threads reserve random sizes; some correct their estimate to less, which counts nothing."""
    budget, highest = ByteBudget(100), []

    def work(size):
        with budget.task():
            budget.reserve(size)
            highest.append(budget.used)
            budget.reserve(size // 2)
            return size

    rng = random.Random(0)
    sizes = [rng.randint(1, 100) for _ in range(500)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, sizes)) == sizes
    assert max(highest) <= 100
    assert budget.used == 0


def test_item_larger_than_the_budget_passes_alone():
    budget, in_use = ByteBudget(10), []

    def work(size):
        with budget.task():
            budget.reserve(size)
            in_use.append((size, budget.used))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [3, 50, 3, 50, 3] * 20))
    assert {used for size, used in in_use if size == 50} == {50}
    assert budget.used == 0


def test_failed_task_releases_its_bytes():
    budget = ByteBudget(10)

    def work():
        with budget.task():
            budget.reserve(7)
            raise MemoryError

    with pytest.raises(MemoryError):
        work()
    assert budget.used == 0


def test_nothing_is_counted_outside_a_task():
    """A caller of the Python API who keeps images never waits."""
    budget = ByteBudget(10)
    budget.reserve(99)
    assert budget.used == 0


def test_limit_of_the_container_is_used(tmp_path, monkeypatch):
    """The smallest of the machine's memory and the limits of both cgroup versions; `max` is no limit."""
    (tmp_path / "v2").write_text("max\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (tmp_path / "v2", tmp_path / "none"))
    machine = memory.memory_limit()
    (tmp_path / "v2").write_text("3000000000\n")
    assert memory.memory_limit() == min(machine, 3_000_000_000)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5), (5, 1 << 19), (1 << 19, 1), (600, 1000, 3)])
def test_bands_cover_each_row_once(shape):
    rows = [row for band in bands(shape) for row in range(*band.indices(shape[0]))]
    assert rows == list(range(shape[0]))
    assert all((band.stop - band.start) * shape[1] <= max(memory.BAND_PIXELS, shape[1]) for band in bands(shape))


def test_bands_change_no_pixel(monkeypatch, tmp_path):
    """Overlay, hatched heatmap, PNG file, bounding box and decoded pixels, with bands of 40 pixels and with one."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 20, 3), np.uint8)
    heatmap, box = rng.random((37, 20), np.float32), Box(3, 5, 17, 30)
    Image.fromarray((heatmap * 65535).astype(np.uint16)).save(tmp_path / "deep.png")

    def drawn():
        overlay = colors.overlay(image, heatmap, box)
        deep = decode.decode((tmp_path / "deep.png").read_bytes())
        arrays = [overlay, colors.render_heatmap(heatmap, box), deep, decode.decode(encode(image))]
        return [array.tolist() for array in arrays], encode(image), maps.bounding_box(heatmap)

    whole = drawn()
    monkeypatch.setattr(memory, "BAND_PIXELS", 40)
    assert drawn() == whole
    assert whole[0][3] == image.tolist()


@pytest.fixture
def live_bytes(monkeypatch):
    """Count the bytes of all decoded images that are alive; return the list of all counts."""
    counts, lock = [0], threading.RLock()

    def change(num_bytes):
        with lock:
            counts.append(counts[-1] + num_bytes)

    def counted(*arguments, original=decode.decode_all):
        decoded = original(*arguments)
        change(decoded.pixels.nbytes)
        weakref.finalize(decoded.pixels, change, -decoded.pixels.nbytes)
        return decoded

    monkeypatch.setattr(decode, "decode_all", counted)
    return counts


@pytest.fixture
def photos(photo, tmp_path):
    """Forty links to one image of 90,000 bytes, and a larger one of 480,000 bytes."""
    first = photo("photos/00.png", size=(200, 150))
    for number in range(1, 40):
        shutil.copy(first, tmp_path / f"photos/{number:02}.png")
    photo("photos/20.png", size=(400, 400))
    return tmp_path / "photos"


def explain(cli, photos, model_file, folder):
    done = cli(photos, "--model", model_file, "--preprocess", "none", "--batch-size", 32, "--save", "npz", "-o", folder)
    assert (done.status, len(done.lines)) == (0, 40), done.stderr
    return [path.read_bytes() for path in sorted((cli.here / folder).iterdir())]


def test_bytes_in_flight_do_not_grow_with_the_batch(cli, photos, model_file, live_bytes, monkeypatch):
    """40 images in batches of 32 with budgets of a few images: all are explained, in order, with the same files."""
    gc.collect()
    before = memory.ACTIVE.used, memory.WAITING.used  # other tests may hold images
    expected = explain(cli, photos, model_file, "all")
    assert max(live_bytes) > 2_000_000
    del live_bytes[1:]
    monkeypatch.setattr(memory.ACTIVE, "limit", 3_000_000)
    monkeypatch.setattr(memory.WAITING, "limit", 300_000)
    assert explain(cli, photos, model_file, "few") == expected
    pixels_in_use = 3_000_000 // 4  # the pixels are 3 of the 12 bytes that are reserved for each
    assert 270_000 <= max(live_bytes) <= 300_000 + pixels_in_use + 480_000
    gc.collect()
    assert (memory.ACTIVE.used, memory.WAITING.used) == before


def test_budget_smaller_than_every_image(cli, photos, model_file, live_bytes, monkeypatch):
    """Each image passes alone: the run neither stops nor fails."""
    monkeypatch.setattr(memory.ACTIVE, "limit", 1)
    monkeypatch.setattr(memory.WAITING, "limit", 1)
    explain(cli, photos, model_file, "alone")
    assert max(live_bytes) <= 2 * 480_000


def test_file_that_changes_between_two_readings_fails(photo, monkeypatch):
    """The map of one image is never drawn over another."""
    path = photo()
    monkeypatch.setattr(memory.WAITING, "limit", 0)
    image = load_image(Source(str(path)))
    pixels = image.pixels
    image.wait()
    np.testing.assert_array_equal(image.pixels, pixels)
    photo(seed=1)
    with pytest.raises(InputError, match="the file changed"):
        _ = image.pixels


def test_pixels_without_a_file_are_kept(monkeypatch):
    monkeypatch.setattr(memory.WAITING, "limit", 0)
    image = LoadedImage("array", np.zeros((4, 5, 3), np.uint8))
    image.wait()
    assert image.pixels.shape == (4, 5, 3)


def test_file_removed_during_the_run_is_one_failure(photo, model_file, monkeypatch):
    from gradcam_cli import load_model
    from gradcam_cli.pipeline.config import ExplainConfig
    from gradcam_cli.pipeline.run import prepare_run

    monkeypatch.setattr(memory.WAITING, "limit", 0)
    run = prepare_run(load_model(model_file, preprocess="none"), ExplainConfig(batch_size=2))
    gone, stays = photo("gone.png"), photo("stays.png")
    inputs = [to_model_input(run, load_image(Source(str(path)))) for path in (gone, stays)]
    gone.unlink()
    first, second = (stages.make_explanations(run, result) for result in stages.run_batches(run, inputs))
    assert isinstance(first, Failure)
    assert "No such file" in first.error
    assert second[0].image.shape == (40, 60, 3)


def test_large_pixels_are_not_pickled(photo, monkeypatch):
    """Another process decodes them again; small pixels, and pixels without a file, are part of the pickle."""
    image = load_image(Source(str(photo(size=(200, 150)))))
    small = pickle.dumps(image)
    monkeypatch.setattr("gradcam_cli.images.load.MAX_PICKLED_BYTES", 80_000)
    large = pickle.dumps(image)
    assert len(large) < 1000 < 90_000 < len(small)
    for data in (small, large):
        np.testing.assert_array_equal(pickle.loads(data).pixels, image.pixels)
    assert len(pickle.dumps(LoadedImage("array", image.pixels))) > 90_000
