"""A pretrained VGG19 and a pretrained MobileNet on photographs, against other tools and annotations."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import stats

from gradcam_cli import explain
from gradcam_cli.images.load import load_image
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.network.precision import has_bfloat16
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vgg19_loaded_once")]

LAYERS = {"block5_conv4": 1e-4, "block4_conv4": 1e-2, "block3_conv2": 1e-2}


@pytest.fixture(scope="module")
def golden(data):
    """The golden images, and the maps that captum and pytorch-grad-cam computed for them."""
    images = sorted((data / "golden/images").glob("*.png"))
    assert len(images) == 7
    with np.load(data / "golden/vgg19_reference.npz") as reference:
        return images, {name: reference[name] for name in reference.files}


def distance(map_, reference):
    return np.linalg.norm(map_ - reference) / np.linalg.norm(reference)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_gradcam_maps_equal_those_of_captum(vgg19, golden, batch_size):
    """For the two classes with the highest scores at three layers; the logits are equal, too."""
    images, reference = golden
    request = ExplainConfig(layers=tuple(LAYERS), classes=("top2",), top_k=1000, batch_size=batch_size)
    photos = (load_image(Source(str(path))) for path in images)
    for path, records in zip(images, explain_images(prepare_run(vgg19, request), photos), strict=True):
        for record in records:
            name = "gradcam" if record.request_key[2] == "top1" else "gradcam_second"
            assert distance(record.cam, reference[f"{path.stem}/{record.layer}/{name}"]) < LAYERS[record.layer]
        logits = np.empty(1000)
        logits[[other.index for other in records[0].predictions]] = [other.logit for other in records[0].predictions]
        np.testing.assert_allclose(logits, reference[f"{path.stem}/logits"], atol=1e-3)


def rank_correlation(map_, reference):
    return stats.spearmanr(map_.ravel(), reference.ravel()).statistic


def normalized(map_):
    return map_ / map_.max()


# The maps of EQUAL agree to 1e-3. The others have a minimum rank correlation, because pytorch-grad-cam differs from the
# papers: for example, it aligns the corners of the masks of Score-CAM.
EQUAL = {"gradcam", "hirescam", "layercam"}
RANKS = {"gradcam++": 0.9, "xgradcam": 0.9, "scorecam": 0.9, "ablationcam": 0.9}


def test_cam_methods_agree_with_pytorch_grad_cam(vgg19, golden):
    """The methods that share one pass, for the class with the highest score."""
    images, reference = golden
    request = ExplainConfig(
        layers=("block5_conv4",), methods=("gradcam", "hirescam", "layercam", "gradcam++", "xgradcam")
    )
    photos = (load_image(Source(str(path))) for path in images)
    for path, records in zip(images, explain_images(prepare_run(vgg19, request), photos), strict=True):
        for record in records:
            expected = reference[f"{path.stem}/block5_conv4/pgc_{record.method}"]
            if record.method in EQUAL:
                assert distance(normalized(record.cam), normalized(expected)) < 1e-3, (path.stem, record.method)
            else:
                assert rank_correlation(record.cam, expected) > RANKS[record.method], (path.stem, record.method)


def test_centered_eigencam_equals_pytorch_grad_cam(vgg19, golden):
    """pytorch-grad-cam subtracts the mean from A, unlike the paper; the maps of the centered A agree up to the sign."""
    images, reference = golden
    network = vgg19.traced.gradient_function(("block5_conv4",), "logit")
    for path in images:
        x = vgg19.preprocess(np.asarray(Image.open(path).convert("RGB"))[None])
        A = network(x, np.array([[-1]], np.int32)).A[0][0]
        matrix = A.reshape(-1, 512) - A.reshape(-1, 512).mean(0)
        first = np.linalg.svd(matrix, full_matrices=False)[2][0]
        expected = reference[f"{path.stem}/block5_conv4/pgc_eigencam"]
        both = [np.maximum(sign * matrix @ first, 0).reshape(14, 14) for sign in (1, -1)]
        assert min(distance(normalized(map_), normalized(expected)) for map_ in both) < 1e-3
        assert METHODS["eigencam"].function(A, A).map.shape == (14, 14)


@pytest.mark.extended
def test_scorecam_and_ablationcam_agree_with_pytorch_grad_cam(vgg19, golden):
    images, reference = golden
    chosen = [path for path in images if f"{path.stem}/block5_conv4/pgc_scorecam" in reference]
    assert len(chosen) == 2
    request = ExplainConfig(layers=("block5_conv4",), methods=("scorecam", "ablationcam"), precision="auto")
    photos = (load_image(Source(str(path))) for path in chosen)
    for path, records in zip(chosen, explain_images(prepare_run(vgg19, request), photos), strict=True):
        for record in records:
            expected = reference[f"{path.stem}/block5_conv4/pgc_{record.method}"]
            assert rank_correlation(record.cam, expected) > RANKS[record.method], (path.stem, record.method)


@pytest.mark.extended
@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
def test_bfloat16_agrees_with_float32(vgg19, data):
    """The first class is equal for 99 % of the images; the median correlation of the maps is 0.999, the minimum 0.99.

    Images whose two highest logits differ by less than the rounding of bfloat16 (2^-8 of the highest) are not counted:
    their order depends on the processor (AMX, or AVX-512 alone).
    """
    paths = sorted((data / "images/imagenet").iterdir()) + sorted((data / "images/pets").iterdir())
    assert len(paths) == 143
    records = {}
    for precision in ("float32", "bfloat16"):
        run = prepare_run(vgg19, ExplainConfig(layers=("block5_conv4",), precision=precision))
        photos = (load_image(Source(str(path))) for path in paths)
        records[precision] = [explanation for (explanation,) in explain_images(run, photos)]
    pairs = list(zip(records["float32"], records["bfloat16"], strict=True))
    same = [exact.predictions[0].index == lower.predictions[0].index for exact, lower in pairs]
    clear = [
        exact.predictions[0].logit - exact.predictions[1].logit > exact.predictions[0].logit / 2**8
        for exact, _ in pairs
    ]
    assert sum(clear) >= 130
    assert np.mean([equal for equal, far in zip(same, clear, strict=True) if far]) >= 0.99
    assert np.mean(same) >= 0.98
    correlations = [
        np.corrcoef(exact.cam.ravel(), lower.cam.ravel())[0, 1]
        for exact, lower in pairs
        if exact.prediction.index == lower.prediction.index
    ]
    assert np.median(correlations) >= 0.999
    assert min(correlations) >= 0.99
    print(f"\nbfloat16: correlation {np.median(correlations):.5f}, minimum {min(correlations):.5f}")


def test_command_gives_the_maps_and_logits_of_captum(cli_process, vgg19_weights, golden, tmp_path):
    images, reference = golden
    done = cli_process(
        *images, "--weights", vgg19_weights, "--layer", "block5_conv4", "--save", "npz", "--json", check=True
    )
    assert done.stderr == ""
    for path, line in zip(images, done.stdout.splitlines(), strict=True):
        entry = json.loads(line)
        with np.load(tmp_path / entry["outputs"]["npz"]) as arrays:
            assert distance(arrays["cam"], reference[f"{path.stem}/block5_conv4/gradcam"]) < 1e-4
        assert entry["logit"] == pytest.approx(reference[f"{path.stem}/logits"].max(), abs=1e-3)
        assert entry["class_index"] == reference[f"{path.stem}/logits"].argmax()


def explain_imagenet(cli, data, *options):
    """Run the command on the ImageNet images and return its JSON lines; stderr is empty."""
    done = cli(data / "images/imagenet", "--save", "npy", "--json", *options)
    assert (done.status, done.stderr) == (0, "")
    return [json.loads(line) for line in done.lines]


def top1(entries, data):
    """Return the fraction of JSON lines with the class of the image."""
    truth = json.loads((data / "images/imagenet_labels.json").read_text())
    return np.mean([truth[entry["input"].rpartition("/")[2]] == entry["class_index"] for entry in entries])


@pytest.mark.extended
@pytest.mark.parametrize(("fit", "minimum"), [("squash", 0.70), ("crop", 0.85)])
def test_imagenet_accuracy_and_output_sizes(cli, data, vgg19_weights, fit, minimum):
    """For 63 images: top-1 accuracy, finite maps of the size of the image, and readable figures."""
    entries = explain_imagenet(cli, data, "--weights", vgg19_weights, "--fit", fit, "--save", "figure")
    assert len(entries) == 63
    for entry in entries:
        with Image.open(entry["input"]) as photo:
            map_ = np.load(entry["outputs"]["npy"])
            assert map_.shape == photo.size[::-1]
        assert np.isfinite(map_).all()
        assert map_.max() == 1
        with Image.open(entry["outputs"]["figure"]) as figure:
            figure.load()
    assert top1(entries, data) >= minimum


@pytest.mark.extended
def test_peak_is_on_the_pet_in_nine_of_ten_images(vgg19, data):
    """With the annotated class as the target."""
    pets = json.loads((data / "images/pets.json").read_text())
    files = {image["id"]: image for image in pets["images"]}
    hits = []
    for animal in pets["annotations"]:
        image = files[animal["image_id"]]
        record = explain(
            data / "images/pets" / image["file_name"], vgg19, "block5_conv4", target_class=animal["category_id"]
        )
        outline = outline_of(animal["segmentation"], image["width"], image["height"])
        assert record.heatmap.shape == outline.shape
        x, y = record.peak
        hits.append(outline[y, x])
    print(f"pointing game on {len(hits)} pets: {np.mean(hits):.3f}")
    assert len(hits) == 80
    assert np.mean(hits) >= 0.9


def outline_of(polygons, width, height):
    canvas = Image.new("1", (width, height))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon(list(zip(polygon[::2], polygon[1::2], strict=True)), fill=1)
    return np.asarray(canvas)


def test_mobilenet_file_has_its_labels_preprocessing_and_layer(cli, data):
    entries = explain_imagenet(cli, data, "--model", data / "models/mobilenet_0.75_224.keras", "--fit", "crop")
    assert {entry["layer"] for entry in entries} == {"conv_pw_13_relu"}
    assert {entry["preprocess"] for entry in entries} == {"tf"}
    assert top1(entries, data) >= 0.7
    assert entries[0]["class_name"]


def test_equal_batch_sizes_give_equal_bytes(cli, data, vgg19_weights):
    photos = sorted((data / "golden/images").glob("*.png"))[:3]
    for folder in ("one", "two"):
        cli(*photos, "--weights", vgg19_weights, "--save", "npz", "-o", folder, "--batch-size", "2")
    for path in (cli.here / "one").iterdir():
        assert path.read_bytes() == (cli.here / "two" / path.name).read_bytes()


def test_vgg19_weights_do_not_fit_vgg16(cli, photo, vgg19_weights):
    done = cli(photo(), "--model", "vgg16", "--weights", vgg19_weights)
    assert done.status == 3
    assert "does not fit vgg16" in done.stderr
