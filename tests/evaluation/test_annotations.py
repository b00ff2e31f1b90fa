"""Annotation files, masks of annotations, and matching with images and classes."""

import json

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.annotations.class_map import read_class_map
from gradcam_cli.evaluation.annotations.masks import RLE, Annotation, annotation_mask
from gradcam_cli.evaluation.annotations.matching import index_by_image, match_categories
from gradcam_cli.models.labels import Labels, imagenet_labels

DOG = Annotation("val/a.jpg", "dog", None, (1, 2, 3, 4))


def dog(segmentation=None, box=(0, 0, 1, 1)):
    return Annotation("a.jpg", "dog", None, box, segmentation)


def coco(**changes):
    """Return a COCO file with one image and one dog, with changes to the entry of the dog."""
    entry = {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 2, 2], **changes}
    return {
        "images": [{"id": 7, "file_name": "val/a.jpg"}],
        "categories": [{"id": 18, "name": "dog"}],
        "annotations": [entry],
    }


def voc(objects, filename="<filename>val/a.jpg</filename>"):
    return f"<annotation>{filename}{objects}</annotation>"


def voc_object(xmin=2, ymin=3, xmax=3, ymax=4, more=""):
    corners = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"<object><name>dog</name>{more}<bndbox>{corners}</bndbox></object>"


@pytest.fixture
def write(tmp_path):
    """Write text, bytes or JSON to a file and return its path."""

    def to(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", coco(), DOG._replace(category_id=18)),
        ("a.xml", voc(voc_object()), DOG),
        ("a.csv", "val/a.jpg,dog,1,2,3,4\n", DOG),
        ("a.CSV", "\ufeffpath,class,x0,y0,x1,y1\r\n\r\nval/a.jpg, dog, 1, 2, 3, 4\r\n", DOG),
        ("a.csv", '"val/a.jpg", "dog, hot", 1.0, 2e0, 3, 4', DOG._replace(category="dog, hot")),
    ],
)
def test_formats_are_equivalent(write, name, content, expected):
    """Columns 1 and 2 of rows 2 and 3: COCO has x, y, width, height; VOC counts from 1 and includes the last."""
    assert read_annotations(write(name, content)) == [expected]
    assert np.argwhere(annotation_mask(expected, (9, 9))).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]


def test_voc_directory_is_read_in_order(write, tmp_path):
    """Files of other types are ignored; an image without objects is valid."""
    for name in ("b.xml", "a/z.XML", "c.xml"):
        write(f"voc/{name}", voc("" if name == "c.xml" else voc_object(), f"<filename>{name}</filename>"))
    write("voc/readme.txt", "no annotation")
    assert [annotation.file for annotation in read_annotations(tmp_path / "voc")] == ["a/z.XML", "b.xml"]


def test_parts_of_voc_objects_are_ignored(write):
    """VOC annotates heads and hands of persons as parts with boxes."""
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    assert read_annotations(write("a.xml", voc(voc_object(more=part)))) == [DOG]


def test_crowds_empty_boxes_and_difficult_objects_are_ignored(write):
    several = coco(iscrowd=0)
    for changes in ({"iscrowd": 1}, {"bbox": [0, 0, 0, 5]}, {"bbox": [0, 0, 5, 5]}):
        several["annotations"] += coco(**changes)["annotations"]
    assert [a.box for a in read_annotations(write("a.json", several))] == [(1, 2, 3, 4), (0, 0, 5, 5)]
    difficult, easy = (voc_object(more=f"<difficult> {number} </difficult>") for number in (1, 0))
    assert read_annotations(write("a.xml", voc(difficult + easy))) == [DOG]


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        (None, None),
        ([], None),
        ([[0, 0, 4, 0, 0, 4.5]], [[0, 0, 4, 0, 0, 4.5]]),
        ({"size": [2, 3], "counts": [1, 2, 3]}, RLE((2, 3), [1, 2, 3])),
    ],
)
def test_segmentations(write, segmentation, expected):
    assert read_annotations(write("a.json", coco(segmentation=segmentation)))[0].segmentation == expected


@pytest.mark.parametrize(
    ("text", "size", "counts"),
    [
        # 2, 3, 1, then 2 - 3 = -1, five bits of ones: 48 + 31 is O; then 1 - 1 = 0
        ("231O0", [3, 3], [2, 3, 1, 2, 1]),
        # 40 = 1 * 32 + 8: 48 + 32 + 8 is X, and 1; 100 - 40 = 60 = 1 * 32 + 28: l, and 1; 9 - 1 = 8
        ("0X11l18", [15, 10], [0, 40, 1, 100, 9]),
        # 100 = 3 * 32 + 4: T, and 3; 3 - 40 = -37 = -2 * 32 + 27: 48 + 32 + 27 is k, 48 + 30 is N; 6 - 1 = 5
        ("T3X11kN5", [15, 10], [100, 40, 1, 3, 6]),
    ],
)
def test_compressed_counts_by_hand(write, text, size, counts):
    """Five bits per character, lowest first; from the fourth on, differences to the count two before."""
    path = write("a.json", coco(segmentation={"size": size, "counts": text}))
    assert read_annotations(path)[0].segmentation == RLE(tuple(size), counts)


def test_run_length_masks_are_column_major():
    """Two rows, three columns: one pixel outside, two inside, two outside, one inside, column by column."""
    mask = annotation_mask(dog(RLE((2, 3), [1, 2, 2, 1])), (2, 3))
    np.testing.assert_array_equal(mask, [[0, 1, 0], [1, 0, 1]])
    with pytest.raises(InputError, match="expected a mask of 2x3 pixels, got 3x2"):
        annotation_mask(dog(RLE((2, 3), [1, 2, 2, 1])), (3, 2))


def test_polygon_mask_contains_pixels_by_their_center():
    """A rectangle of full pixels is exact; polygons are united; the box is ignored."""
    mask = annotation_mask(dog([[1, 0, 3, 0, 3, 2, 1, 2], [0, 2, 0.6, 2, 0.6, 3, 0, 3]]), (3, 4))
    np.testing.assert_array_equal(mask, [[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]])
    triangle = annotation_mask(dog([[0, 0, 4.6, 0, 0, 4.6]]), (4, 4))
    np.testing.assert_array_equal(triangle, np.tri(4)[::-1])


@pytest.mark.parametrize("box", [(0.5, 1.5, 2.5, 3.4), (0.4, 1.1, 2.5, 3.5), (0, 1, 2, 3)])
def test_box_mask_contains_pixels_by_their_center(box):
    """The centers of columns 0 and 1 are 0.5 and 1.5; the end is not included."""
    np.testing.assert_array_equal(np.argwhere(annotation_mask(dog(box=box), (5, 5))), [[1, 0], [1, 1], [2, 0], [2, 1]])


@pytest.mark.parametrize("far", [7, 1e5, 1e200])
def test_parts_outside_the_image_are_clipped(far):
    """From the second column on, at any distance."""
    polygon = [1, -far, far, -far, far, far, 1, far]
    for annotation in (dog([polygon]), dog(box=(1, -far, far, far))):
        np.testing.assert_array_equal(annotation_mask(annotation, (2, 3)), [[0, 1, 1], [0, 1, 1]])
    assert not annotation_mask(dog(box=(far, 0, 2 * far, 9)), (2, 3)).any()


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
def test_malformed_coco_entries(write, changes):
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
def test_malformed_files(write, name):
    """The error names the file."""
    path = write(name, MALFORMED_FILES[name])
    path = path.parent if name.startswith("directory") else path
    with pytest.raises(UsageError, match=f"^annotations {path}: (expected .*, got |no )") as caught:
        read_annotations(path)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("name", ["missing.json", "null\0.xml", "a" * 1000 + ".csv", "file.csv/a.csv"])
def test_unreadable_files(write, tmp_path, name):
    write("file.csv", "")
    for read in (read_annotations, read_class_map):
        with pytest.raises(UsageError, match="cannot be read"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "boxes"),
    [
        ("/data/val/a.jpg", [1, 2]),  # all parts match, both annotations
        ("val/a.jpg", [1, 2]),
        ("./val//a.jpg", [1, 2]),
        ("D:\\data\\val\\a.jpg", [1, 2]),
        ("/data/train/a.jpg", [3]),  # written with a backslash
        ("/data/a.jpg", []),  # val/a.jpg or train/a.jpg
        ("interval/a.jpg", []),  # parts match as a whole
        ("/data/b.jpg", [4]),  # the only b.jpg
        ("/data/old/c.jpg", [6]),  # old/c.jpg is longer than c.jpg
        ("/data/new/c.jpg", [5]),
        ("/data/ILSVRC_1.JPEG", [7]),  # annotated without its extension
        ("/data/ILSVRC_1.JPEG.png", []),
        ("/data/new/d.jpg", [9]),  # new/d by its path, not s/d.jpg by its name
        ("/data/a", []),
        ("", []),
    ],
)
def test_annotations_are_matched_by_path(path, boxes):
    files = [
        "val/a.jpg",
        "val/a.jpg",
        "train\\a.jpg",
        "C:\\x\\b.jpg",
        "./c.jpg",
        "old/c.jpg",
        "ILSVRC_1",
        "/",
        "new/d",
        "s/d.jpg",
    ]
    find = index_by_image(Annotation(file, "dog", None, (0, 0, x1, 1)) for x1, file in enumerate(files, 1))
    assert [annotation.box[2] for annotation in find(path)] == boxes


@pytest.mark.parametrize(
    "content",
    [
        {"dog": "Chihuahua", "cat": [281, "tiger cat"]},
        b'\xef\xbb\xbf {"dog": ["Chihuahua"], "cat": ["281", "tiger cat"]}',
        "dog,Chihuahua\ncat,281\n\ncat, tiger cat",
    ],
)
def test_class_map_formats(write, content):
    assert read_class_map(write("map", content)) == {"dog": ["Chihuahua"], "cat": ["281", "tiger cat"]}


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
def test_malformed_class_maps(write, content):
    path = write("map", content)
    with pytest.raises(UsageError, match=f"^class map {path}: expected .*, got "):
        read_class_map(path)


NAMES = Labels(("hot dog", "crane", "dog", "crane"), ("n1", "n2", "n3", "n4"))


@pytest.mark.parametrize(
    ("category", "category_id", "indices"),
    [
        ("dog", None, [2]),
        ("Hot_Dog", 3, [0]),
        ("hot-dog", None, [0]),
        ("do", None, []),  # the full name, not a part
        ("hotdog", 0, []),  # an id of another list
        ("crane", 3, [3]),
        ("crane", 2, [1, 3]),
        ("crane", None, [1, 3]),
        ("n3", None, [2]),
    ],
)
def test_categories_match_classes_by_name(category, category_id, indices):
    assert match_categories([(category, category_id)], NAMES, 4) == ({category: indices} if indices else {})


def test_categories_with_the_same_name_are_united():
    assert match_categories([("crane", 3), ("crane", 1), ("dog", 9)], NAMES, 4) == {"crane": [1, 3], "dog": [2]}
    assert match_categories([("crane", 3)], NAMES, 3) == {"crane": [1]}  # the model has no fourth class


def test_categories_match_by_id_if_the_model_has_no_names():
    categories = [("a", 0), ("b", 2), ("c", 3), ("d", -1), ("e", None)]
    assert match_categories(categories, Labels(()), 3) == {"a": [0], "b": [2]}


def test_class_map_replaces_names_and_ids():
    """A category that the class map does not list has no class."""
    class_map = {"bird": ["3", "hot dog", "1"], "dog": []}
    assert match_categories([("bird", 0), ("dog", 2), ("crane", 1)], NAMES, 4, class_map) == {"bird": [0, 1, 3]}


@pytest.mark.parametrize("selector", ["cat", "4", "crane", "top", "top2", "-1"])
def test_class_map_with_invalid_class(selector):
    """Unknown classes, ambiguous classes and ranks are errors, also for categories that do not occur."""
    with pytest.raises(UsageError, match=r"class .*expected"):
        match_categories([("dog", None)], NAMES, 4, {"other": [selector]})


def test_masks_of_real_segmentations(data):
    """Masks of 80 pets are inside their boxes and have the area of their polygons (shoelace formula)."""
    annotations = read_annotations(data / "images" / "pets.json")
    assert len(annotations) == 80
    find = index_by_image(annotations)
    for annotation in annotations:
        path = data / "images" / "pets" / annotation.file
        with Image.open(path) as image:
            mask = annotation_mask(annotation, (image.height, image.width))
        x, y = np.array(annotation.segmentation[0]).reshape(-1, 2).T
        area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
        assert mask.sum() == pytest.approx(area, rel=0.02)
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        x0, y0, x1, y1 = annotation.box
        assert x0 - 1 <= columns[0] <= columns[-1] < x1 + 1
        assert y0 - 1 <= rows[0] <= rows[-1] < y1 + 1
        assert find(str(path)) == [annotation]
    classes = match_categories({(a.category, a.category_id) for a in annotations}, imagenet_labels(), 1000)
    assert all(classes[annotation.category] == [annotation.category_id] for annotation in annotations)


def test_real_coco_file(data):
    annotations = read_annotations(data / "images" / "coco.json")
    assert len(annotations) == 233
    assert annotations[0][1:] == ("bowl", 45, pytest.approx((1.1, 187.7, 612.7, 473.5)), None)
