"""Signals, volumes and films in the document of a report."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
from report_documents import document_in

from gradcam_cli.images.box import Box
from gradcam_cli.images.space import Space
from gradcam_cli.pipeline.fields import FieldError
from gradcam_cli.pipeline.saved import SavedMap, load_source_image
from gradcam_cli.reporting.build import build_report
from gradcam_cli.reporting.entries import build_entries
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.levels import encode_levels
from gradcam_cli.reporting.record_fields import check_record
from gradcam_cli.reporting.sheets import shown_numbers

SHAPES = {"signal": (50,), "volume": (6, 8, 10), "film": (7, 8, 10)}
SPACING = {"signal": (0.002,), "volume": (2.5, 1.0, 0.5), "film": (0.04, 0.0, 0.0)}
PIXELS = {"signal": np.float32, "volume": np.uint8, "film": np.uint8}


@pytest.fixture(params=SHAPES)
def record(request, tmp_path):
    """A result with its files in the directory of the test, for each kind of input."""
    kind, shape = request.param, SHAPES[request.param]
    heatmap = np.zeros(shape, np.float32)
    heatmap[tuple(length // 2 for length in shape)] = 1
    pixels = np.zeros((*shape, 1 if kind == "signal" else 3), PIXELS[kind])
    images, box = ReportImages(tmp_path), Box.whole(shape)
    shown = images.shown(pixels, heatmap, box, "gradcam", Space(kind, SPACING[kind]))
    numbers = shown_numbers(shown.space, shape, [shown.peak])
    drawn = images.draw_image("a", "x", shown, numbers) | images.draw_map("a", "x", shown, numbers)
    summary = {"peak": list(shown.peak), "box": list(box), "raw_max": 2.0, "cells": list(shape)}
    return {
        "status": "ok",
        "input": "a",
        "layer": "conv",
        "method": "gradcam",
        "class_index": 1,
        "class_name": "cat",
        "kind": kind,
        "spacing": list(SPACING[kind]),
        "map": summary,
        "report": {**drawn, "levels": encode_levels(heatmap, box, shape)},
    }


def changed(record, **changes):
    return {**record, "report": {**record["report"], **changes}}


def test_entry_has_what_the_page_scrolls_through(record):
    """Records pass the check of run logs unchanged; the entry has kind, spacing, and slices or lines."""
    record = json.loads(json.dumps(record))
    assert check_record(record) == record
    (entry,) = build_entries([record], {})
    rank = len(SHAPES[record["kind"]])
    assert (entry["kind"], entry["spacing"], entry["size"]) == (
        record["kind"],
        record["spacing"],
        list(SHAPES[record["kind"]][::-1]),
    )
    assert len(entry["sheets"]) == {"signal": 0, "volume": 3, "film": 1}[record["kind"]]
    assert bool(entry["signal"]) == (record["kind"] == "signal")
    assert (entry["maps"][0]["peak"], len(entry["maps"][0]["box"])) == (record["map"]["peak"], 2 * rank)
    assert len(entry["maps"][0].get("profiles", [])) == len(entry["sheets"])


def test_entry_of_an_image_has_no_further_fields(record):
    (entry,) = build_entries([{**record, "kind": "image", "spacing": None}], {})
    assert not {"kind", "spacing", "sheets", "signal"} & set(entry)


def test_unknown_spacing_is_zero(record):
    for spacing in (None, [1.0] * 2):
        (entry,) = build_entries([{**record, "spacing": spacing}], {})
        assert entry["spacing"] == [0] * len(SHAPES[record["kind"]])


def test_slices_outside_the_input_are_left_out(record):
    """Numbers beyond the size, sheets of a signal, and a size with another number of axes; paths stay inside."""
    sheet = {"axis": 0, "path": "../../etc/passwd", "numbers": [0, 1], "columns": 2, "width": 1, "height": 1}
    (entry,) = build_entries([changed(record, sheets=[sheet])], {})
    assert [each["path"] for each in entry["sheets"]] == ([] if record["kind"] == "signal" else [None])
    (entry,) = build_entries([changed(record, sheets=[{**sheet, "numbers": [0, 99]}])], {})
    assert entry["sheets"] == []
    (entry,) = build_entries([changed(record, size=[5, 5])], {})
    assert "kind" not in entry


@pytest.mark.parametrize(
    "change", [{"profiles": [[2.0]]}, {"profiles": "x"}, {"sheets": [{}]}, {"signal": {}}, {"size": [1] * 4}]
)
def test_damaged_records_are_refused(record, change):
    with pytest.raises(FieldError):
        check_record(json.loads(json.dumps(changed(record, **change))))


def test_report_of_saved_maps_without_their_inputs(record, tmp_path):
    """The page of `.npz` files has the levels; a map with other axes than its cells has none."""
    shape, kind = SHAPES[record["kind"]], record["kind"]
    heatmap = np.zeros(shape, np.float32)
    heatmap[tuple(length // 2 for length in shape)] = 1
    metadata = {
        "input": "missing",
        "layer": "conv",
        "method": "gradcam",
        "class_index": 1,
        "class_name": "cat",
        "kind": kind,
        "spacing": list(SPACING[kind]),
        "fit": "squash",
        "score": "logit",
        "target": "class",
        "interpolation": "linear",
        "counterfactual": False,
        "aug_smooth": False,
    }
    shutil.rmtree(tmp_path / "report")
    for name, cam in (("a", heatmap), ("b", np.ones((2,) * (len(shape) % 3 + 1), np.float32))):
        text = np.array(json.dumps({**metadata, "input": name}))
        np.savez(tmp_path / f"{name}_gradcam.npz", heatmap=heatmap, cam=cam, metadata=text)
    entries = document_in(build_report(tmp_path).path)["entries"]
    assert (entries[0]["name"], entries[0]["kind"], entries[0]["size"]) == ("a", kind, list(shape[::-1]))
    assert entries[0]["maps"][0]["levels"]["exact"]
    assert entries[1]["maps"][0]["levels"] is None


def test_report_of_saved_maps_reads_their_inputs(tmp_path):
    """The slices are those of the recorded file, read with the recorded axes: stored as (W, H, D) here."""
    stored = np.arange(6 * 8 * 10, dtype=np.float32).reshape(6, 8, 10)
    np.save(tmp_path / "scan.npy", stored.T)
    sha256 = hashlib.sha256((tmp_path / "scan.npy").read_bytes()).hexdigest()
    metadata = {
        "input": str(tmp_path / "scan.npy"),
        "sha256": sha256,
        "axes": "WHD",
        "kind": "volume",
        "layer": "conv",
        "method": "gradcam",
        "class_index": 1,
        "class_name": "cat",
        "fit": "squash",
        "score": "logit",
        "target": "class",
        "interpolation": "linear",
        "counterfactual": False,
        "aug_smooth": False,
    }
    maps = np.ones(stored.shape, np.float32)
    saved = SavedMap(metadata, maps, maps)
    pixels = load_source_image(saved)
    assert pixels.shape == (6, 8, 10, 3)
    assert pixels[0].max() < pixels[3].mean() < pixels[5].min()
    assert load_source_image(saved._replace(heatmap=np.ones((10, 8, 6), np.float32))) is None
    assert load_source_image(saved._replace(metadata={**metadata, "axes": "XY"})) is None
    assert load_source_image(saved._replace(metadata={**metadata, "sha256": "0" * 64})) is None
