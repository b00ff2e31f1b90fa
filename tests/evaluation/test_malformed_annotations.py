"""Malformed annotation files and class maps: the error names the file, whatever its content."""

import json

import pytest
from annotation_files import coco, voc, voc_object

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.annotations.class_map import read_class_map

MALFORMED_ENTRIES = [
    {"bbox": None},
    {"bbox": [1, 2, 3]},
    {"bbox": [1, 2, -1, 4]},
    {"bbox": [1, 2, 3, -4]},
    {"bbox": [1, 2, float("nan"), 4]},
    {"bbox": [1, 2, float("inf"), 4]},
    {"bbox": [1e308, 2, 1e308, 4]},
    {"bbox": [1, 2, 10**400, 4]},
    {"bbox": [1, 2, True, "4"]},
    {"bbox": {"x": 1}},
    {"image_id": 8},
    {"image_id": [7]},
    {"image_id": True},
    {"category_id": 19},
    {"category_id": "dog"},
    {"iscrowd": "no"},
    {"segmentation": "outline"},
    {"segmentation": [1, 2, 3, 4, 5, 6]},
    {"segmentation": [[1, 2, 3, 4]]},
    {"segmentation": [[1, 2, 3, 4, 5, 6, 7]]},
    {"segmentation": [[1, 2, 3, 4, 5, float("nan")]]},
    {"segmentation": {"counts": [4]}},
    {"segmentation": {"size": [2, 2]}},
    {"segmentation": {"size": [2, 2], "counts": [3]}},
    {"segmentation": {"size": [2, 2], "counts": [5, -1]}},
    {"segmentation": {"size": [2, 2], "counts": [3.0, 1]}},
    {"segmentation": {"size": [-2, -2], "counts": [4]}},
    {"segmentation": {"size": [10**4000, 10**4000], "counts": [4]}},
    {"segmentation": {"size": [2**31, 2**31], "counts": [4]}},
    {"segmentation": {"size": [2, 2], "counts": "5"}},
    {"segmentation": {"size": [2, 2], "counts": "4T"}},
    {"segmentation": {"size": [2, 2], "counts": "4 "}},
    {"segmentation": {"size": [2, 2], "counts": "4é"}},
    {"segmentation": {"size": [2, 2], "counts": "o" * 100_000}},
]


@pytest.mark.parametrize("changes", MALFORMED_ENTRIES, ids=lambda changes: json.dumps(changes)[:60])
def test_malformed_coco_entry_is_refused(write, changes):
    path = write("a.json", coco(**changes))
    with pytest.raises(UsageError, match=r"^annotations .*a\.json: expected .*annotations\[0\], got ") as caught:
        read_annotations(path)
    assert len(caught.value.message) < 500


BOMB = (
    "<!DOCTYPE a [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
    + "]><annotation><filename>&a11;</filename></annotation>"
)

MALFORMED_FILES = {
    "empty.json": "",
    "cut.json": '{"images": [',
    "deep.json": "[" * 200_000,
    "digits.json": "9" * 5000,
    "bytes.json": b"\xff\xfe\xfd\x00{",
    "list.json": [],
    "object.json": {},
    "nothing.json": {**coco(), "annotations": []},
    "crowds.json": coco(iscrowd=1),
    "text.json": {**coco(), "annotations": ["dog"]},
    "images.json": {**coco(), "images": {"7": "a.jpg"}},
    "names.json": {**coco(), "images": [{"id": 7}]},
    "twins.json": {**coco(), "images": coco()["images"] * 2},
    "categories.json": {**coco(), "categories": [{"id": 18, "name": 18}]},
    "empty.xml": "",
    "cut.xml": "<annotation>",
    "other.xml": "<html/>",
    "deep.xml": "<annotation>" * 200_000,
    "bomb.xml": BOMB,
    "bytes.xml": b"\xff\xfe\xfd\x00<",
    "encoding.xml": '<?xml version="1.0" encoding="klingon"?><annotation/>',
    "multibyte.xml": '<?xml version="1.0" encoding="shift_jis"?><annotation/>',
    "nothing.xml": voc(""),
    "difficult.xml": voc(voc_object(more="<difficult>1</difficult>")),
    "filename.xml": voc(voc_object(), ""),
    "number.xml": voc(voc_object(xmin="left")),
    "nan.xml": voc(voc_object(xmin="nan")),
    "huge.xml": voc(voc_object(xmax="9" * 5000)),
    "swapped.xml": voc(voc_object(xmin=4)),
    "box.xml": voc("<object><name>dog</name></object>"),
    "name.xml": voc(voc_object().replace("dog", " ")),
    "empty.csv": "",
    "header.csv": "path,class,x0,y0,x1,y1\n",
    "few.csv": "a.jpg,dog,1,2,3\n",
    "many.csv": "a.jpg,dog,1,2,3,4,5\n",
    "class.csv": "a.jpg,,1,2,3,4\n",
    "corner.csv": "a.jpg,dog,1,2,x,4\n",
    "nan.csv": "a.jpg,dog,1,2,nan,4\n",
    "swapped.csv": "a.jpg,dog,3,2,1,4\n",
    "headers.csv": "path,class,x0,y0,x1,y1\n" * 2,
    "latin.csv": "café.jpg,dog,1,2,3,4\n".encode("latin-1"),
    "field.csv": "a" * 200_000 + ",dog,1,2,3,4\n",
    "return.csv": "a.jpg\rb.jpg,dog,1,2,3,4\n",
    "null.csv": b"\x00" * 100,
    "a.txt": "a.jpg,dog,1,2,3,4\n",
    "none": "a.jpg,dog,1,2,3,4\n",
    "directory/readme.txt": "no annotations",
}


@pytest.mark.parametrize("name", MALFORMED_FILES)
def test_malformed_annotation_file_is_refused(write, name):
    """The error names the file."""
    path = write(name, MALFORMED_FILES[name])
    path = path.parent if name.startswith("directory") else path
    with pytest.raises(UsageError, match=f"^annotations {path}: (expected .*, got |no )") as caught:
        read_annotations(path)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("name", ["missing.json", "null\0.xml", "a" * 1000 + ".csv", "file.csv/a.csv"])
def test_unreadable_annotation_file_is_refused(write, tmp_path, name):
    write("file.csv", "")
    for read in (read_annotations, read_class_map):
        with pytest.raises(UsageError, match="cannot be read"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "{",
        '{"a": ' * 100_000,
        {"dog": 1.5},
        {"dog": [True]},
        {"dog": None},
        "dog",
        "dog,",
        "a,b,c",
        b"\xff",
    ],
)
def test_malformed_class_map_is_refused(write, content):
    path = write("map", content)
    with pytest.raises(UsageError, match=f"^class map {path}: expected .*, got "):
        read_class_map(path)
