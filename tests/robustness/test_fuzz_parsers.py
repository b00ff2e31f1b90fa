"""Parsers of untrusted files return a valid value or raise the documented error, for any bytes.

Valid files are mutated: bytes changed, inserted and removed; nodes of JSON documents replaced.
`make test` runs a few examples, always the same; `make test-all` draws many new ones.
"""

import io
import json

import numpy as np
import pytest
from fuzzing import check_property, fuzz_examples, mutated, value_or_error
from hypothesis import strategies as st
from malformed_images import encoded, noise, png, tiff
from nested_values import nodes, replaced
from PIL import Image

from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.annotations.masks import annotation_mask
from gradcam_cli.images.decode import decode
from gradcam_cli.images.discover import read_list
from gradcam_cli.models.labels import read_labels
from gradcam_cli.pipeline.saved import REQUIRED_KEYS, load_saved_map
from gradcam_cli.reporting.run_records import merge_runs, read_records, truncate_partial_line

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

SMALL = noise((9, 7))
RGBA, PALETTE, DEEP = SMALL.convert("RGBA"), SMALL.convert("P"), Image.fromarray(np.full((5, 4), 999, np.uint16))
FLOAT = Image.fromarray(np.full((5, 4), 0.5, np.float32))
EXIF = Image.Exif()
EXIF[0x0112] = 6
PHOTOS = {
    "JPEG": [
        encoded(SMALL, "JPEG", exif=EXIF),
        encoded(SMALL, "JPEG", progressive=True),
        encoded(SMALL.convert("CMYK"), "JPEG"),
    ],
    "PNG": [encoded(SMALL), encoded(PALETTE, transparency=3), encoded(DEEP), encoded(RGBA, exif=EXIF)],
    "PNG, moving": [encoded(SMALL, save_all=True, append_images=[SMALL.rotate(180)])],
    "PNG, 16 bits": [png(2, 1, 16, 2, b"\0" + bytes(range(12)))],
    "GIF": [encoded(SMALL, "GIF"), encoded(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(90)])],
    "WebP": [encoded(SMALL, "WEBP"), encoded(RGBA, "WEBP", lossless=True)],
    "TIFF": [encoded(one, "TIFF") for one in (SMALL, DEEP, FLOAT)] + [tiff(4, 4)],
    "TIFF, packed": [encoded(SMALL, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_deflate", "jpeg")],
    "BMP": [encoded(SMALL, "BMP"), encoded(PALETTE, "BMP")],
    "PNM": [encoded(SMALL, "PPM"), b"P2 2 2 9 1 2 3 4\n", b"P5 2 1 65535\n" + bytes(4), b"P1 3 1 1 0 1\n"],
    "others": [encoded(SMALL, kind) for kind in ("ICO", "PCX", "TGA", "JPEG2000", "SGI")],
}


@fuzz_examples
@pytest.mark.parametrize("kind", PHOTOS)
def test_mutated_image_is_decoded_or_refused(kind, examples):
    """Every format gives 8-bit RGB or an InputError."""

    def check(data):
        pixels, error = value_or_error(InputError, decode, data, 1 << 18)
        if error:
            assert error.message
            return
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert 0 < pixels.shape[0] * pixels.shape[1] <= 1 << 18

    check_property(examples, mutated(*PHOTOS[kind]), check)


@fuzz_examples
def test_random_bytes_after_a_signature_are_decoded_or_refused(examples):
    """Random bytes after the signature of any format give RGB or an InputError."""
    signatures = [photo[:size] for photos in PHOTOS.values() for photo in photos for size in (0, 4, 12)]

    def check(data):
        pixels, _ = value_or_error(InputError, decode, data, 1 << 16)
        assert pixels is None or pixels.shape[2] == 3

    check_property(examples, st.builds(bytes.__add__, st.sampled_from(signatures), st.binary(max_size=200)), check)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["0", "1", 0, 1, 2, -1, 1e308, [4, 3], "3c", []]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def altered(draw, *documents):
    """A document with up to three nodes replaced by anything, as the text of JSON."""
    value = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(1, 3))):
        value = replaced(value, draw(st.sampled_from(list(nodes(value)))), draw(JSON))
    return json.dumps(value).encode()


RUNS = {"size": [4, 3], "counts": [2, 3, 7]}
COCO = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "categories": [{"id": 7, "name": "cat"}],
    "annotations": [
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 3], "segmentation": [[0, 0, 2, 0, 2, 3]], "iscrowd": 0},
        {"image_id": 2, "category_id": 7, "bbox": [0, 0, 2, 3], "segmentation": RUNS},
        {"image_id": 2, "category_id": 7, "bbox": [1, 1, 2, 2], "segmentation": {"size": [4, 3], "counts": "237"}},
    ],
}
VOC = b"""<?xml version="1.0" encoding="utf-8"?><annotation><filename>a.png</filename><object><name>cat</name>
<difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>2</ymax></bndbox></object></annotation>"""
LINES = b'path,class,x0,y0,x1,y1\na.png,cat,0,0,2,3\n"b, c.png",dog,1.5,1,1e2,3\n'
ANNOTATIONS = {
    "COCO, nodes": (".json", altered(COCO)),
    "COCO, bytes": (".json", mutated(json.dumps(COCO).encode())),
    "VOC": (".xml", mutated(VOC)),
    "CSV": (".csv", mutated(LINES) | st.binary(max_size=50)),
}


@fuzz_examples
@pytest.mark.parametrize("form", ANNOTATIONS)
def test_mutated_annotations_are_read_or_refused(form, examples, tmp_path):
    """UsageError, or annotations whose masks have the image's size (or an InputError for another size)."""
    suffix, strategy = ANNOTATIONS[form]
    path = tmp_path / f"drawn{suffix}"

    def check(data):
        path.write_bytes(data)
        found, error = value_or_error(UsageError, read_annotations, path)
        if error:
            assert str(path) in error.message
            return
        for one in found:
            assert np.isfinite(one.box).all()
            mask, _ = value_or_error(InputError, annotation_mask, one, (4, 3))
            assert mask is None or (mask.shape, mask.dtype) == ((4, 3), bool)

    check_property(examples, strategy, check)


def test_xml_entities_are_not_expanded(tmp_path):
    """An XML bomb is refused, and no external file is read."""
    levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 50}">' for i in range(1, 9))
    bomb = tmp_path / "bomb.xml"
    bomb.write_text(
        f'<!DOCTYPE a [<!ENTITY e0 "0123456789">{levels}]><annotation><filename>&e8;</filename></annotation>'
    )
    outside = tmp_path / "outside.xml"
    secret = tmp_path / "secret"
    secret.write_text("never told")
    outside.write_text(
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{secret}">]>' + VOC.decode().partition("?>")[2].replace("cat", "&e;")
    )
    for path in (bomb, outside):
        with pytest.raises(UsageError) as caught:
            read_annotations(path)
        assert "never told" not in caught.value.message


LABELS = [["cat", "dog"], {"0": ["n1", "cat"], "1": ["n2", "dog"]}, {"0": "cat", "1": "dog"}]


@fuzz_examples
@pytest.mark.parametrize("form", ["nodes", "bytes"])
def test_mutated_labels_are_read_or_refused(form, examples, tmp_path):
    """UsageError, or names that are strings."""
    path = tmp_path / "labels"
    strategy = (
        altered(*LABELS) if form == "nodes" else mutated(*(json.dumps(one).encode() for one in LABELS), b"a\nb\n")
    )

    def check(data):
        path.write_bytes(data)
        labels, error = value_or_error(UsageError, read_labels, path)
        if error:
            assert "labels" in error.message
            return
        assert all(isinstance(name, str) for name in labels.names + labels.ids)
        assert len(labels.ids) in (0, len(labels.names))

    check_property(examples, strategy, check)


RECORDS = [
    {"status": "run_start", "command": "explain"},
    {"status": "ok", "input": "a.png", "outputs": {}},
    {"status": "skipped", "input": "a.png"},
    {"status": "failed", "input": "b.png", "error": "no"},
    {"status": "run_end"},
]


@fuzz_examples
@pytest.mark.parametrize("form", ["nodes", "bytes"])
def test_mutated_run_log_is_read_or_refused(form, examples, tmp_path):
    """InputError, or records with a status; a partial last line is removed."""
    path = tmp_path / "run.jsonl"
    text = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
    one = altered(*RECORDS).map(lambda line: text + line + b"\n")
    strategy = one if form == "nodes" else mutated(text, text * 2)

    def check(data):
        path.write_bytes(data)
        records, error = value_or_error(InputError, lambda: list(read_records(path)))
        if error:
            assert "line " in error.message
        else:
            assert all("status" in record for record in merge_runs(records))
        with open(path, "a+b") as file:
            truncate_partial_line(file)
        assert path.read_bytes() in (data, data[: data.rfind(b"\n") + 1])

    check_property(examples, strategy, check)


@fuzz_examples
def test_mutated_saved_map_is_read_or_refused(examples, tmp_path):
    """A map or a GradcamError; nothing is unpickled."""
    buffer = io.BytesIO()
    record = {**dict.fromkeys(REQUIRED_KEYS, "a"), "class_index": 1, "score": "logit", "counterfactual": False}
    arrays = {"heatmap": np.eye(3, dtype=np.float32), "cam": np.eye(2, dtype=np.float32)}
    np.savez(buffer, **arrays, metadata=np.array(json.dumps(record)))
    path = tmp_path / "map.npz"

    def check(data):
        path.write_bytes(data)
        saved, error = value_or_error(GradcamError, load_saved_map, path)
        if error:
            assert str(path) in error.message
            return
        assert saved.heatmap.dtype.kind in "fiub"

    check_property(examples, mutated(buffer.getvalue()), check)


@fuzz_examples
def test_random_input_list_has_no_empty_name(examples, tmp_path):
    """Any bytes are a list of names, and no name is empty."""
    path = tmp_path / "list"

    def check(data):
        path.write_bytes(data)
        for nul in (False, True):
            assert all(read_list(str(path), nul=nul))

    check_property(examples, st.binary(max_size=100), check)
