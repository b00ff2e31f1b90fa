"""Masks of annotations: polygons, boxes and run lengths, against pixels worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.annotations.masks import RLE, Annotation, annotation_mask
from gradcam_cli.evaluation.annotations.matching import match_categories
from gradcam_cli.images.matching import index_by_path
from gradcam_cli.models.labels import imagenet_labels


def dog(segmentation=None, box=(0, 0, 1, 1)):
    return Annotation("a.jpg", "dog", None, box, segmentation)


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


def test_masks_of_real_segmentations(data):
    """Masks of 80 pets are inside their boxes and have the area of their polygons (shoelace formula)."""
    annotations = read_annotations(data / "images" / "pets.json")
    assert len(annotations) == 80
    find = index_by_path((annotation.file, annotation) for annotation in annotations)
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
