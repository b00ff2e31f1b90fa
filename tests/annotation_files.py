"""Annotation files of one image with one dog, in every format."""

from gradcam_cli.evaluation.annotations.masks import Annotation

DOG = Annotation("val/a.jpg", "dog", None, (1, 2, 3, 4))


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
