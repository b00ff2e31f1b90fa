"""Annotation files: COCO, Pascal VOC and CSV are read alike."""

import numpy as np
import pytest
from annotation_files import DOG, coco, voc, voc_object

from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.annotations.masks import RLE, annotation_mask


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
def test_segmentation_is_polygons_run_lengths_or_none(write, segmentation, expected):
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
def test_compressed_run_lengths_by_hand(write, text, size, counts):
    """Five bits per character, lowest first; from the fourth on, differences to the count two before."""
    path = write("a.json", coco(segmentation={"size": size, "counts": text}))
    assert read_annotations(path)[0].segmentation == RLE(tuple(size), counts)


def test_annotations_of_a_real_coco_file(data):
    annotations = read_annotations(data / "images" / "coco.json")
    assert len(annotations) == 233
    assert annotations[0][1:] == ("bowl", 45, pytest.approx((1.1, 187.7, 612.7, 473.5)), None)
