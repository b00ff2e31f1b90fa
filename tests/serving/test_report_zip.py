"""The static report of maps that the page shows."""

import io
import json
import zipfile

import pytest
from PIL import Image


def test_the_report_of_maps_is_the_static_report(mini, tmp_path, monkeypatch):
    """A ZIP archive of one folder, which opens without the server; its temporary directory is removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    maps = [{"model": "m0"}, {"model": "m0", "method": "layercam", "class": 3, "layer": "block3_conv1"}]
    answer = mini.client.post("api/report", json={"image": "0", "maps": maps})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="gradcam-report.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert {name.split("/")[0] for name in archive.namelist()} == {"gradcam-report"}
    lines = archive.read("gradcam-report/report/run.jsonl").decode().splitlines()
    records = [record for record in map(json.loads, lines) if record["status"] == "ok"]
    assert [(each["method"], each["layer"]) for each in records] == [
        ("gradcam", "block5_conv4"),
        ("layercam", "block3_conv1"),
    ]
    for record in records:
        Image.open(io.BytesIO(archive.read(f"gradcam-report/{record['report']['map_image']}"))).load()
    assert b"<title>" in archive.read("gradcam-report/index.html")
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{", b"null", b"[" * 60_000, b'{"image": "0"}', b'{"image": "0", "maps": []}', b"\xff"),
        *(
            b'{"image": "0", "maps": {}}',
            b'{"image": "0", "maps": [1]}',
            b'{"image": ["0"], "maps": [{"model": "m0"}]}',
        ),
        *(b'{"image": "0", "maps": [{"model": "m0", "path": "/etc"}]}', b'{"image": "0", "maps": [{"model": {}}]}'),
        b'{"image": "0", "maps": [{"model": "m0", "t": NaN}]}',
        b'{"image": "0", "maps": ' + b'[{"model":"m0"}' + b',{"model":"m0"}' * 64 + b"]}",
    ],
)
def test_a_wrong_request_for_a_report_is_refused(mini, body):
    answer = mini.client.post("api/report", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_body_that_is_too_large_is_refused(mini):
    assert mini.client.post("api/report", content=b" " * (1 << 17)).status_code == 413


def test_maps_of_one_layer_and_class_have_files_of_their_own(mini):
    """A map, its contrast and its counterfactual: three pictures, and the command of each."""
    maps = [{"model": "m0", "class": 3, **each} for each in ({}, {"against": "nearest"}, {"counterfactual": 1})]
    archive = zipfile.ZipFile(io.BytesIO(mini.client.post("api/report", json={"image": "0", "maps": maps}).content))
    lines = map(json.loads, archive.read("gradcam-report/report/run.jsonl").splitlines())
    records = [record for record in lines if record["status"] == "ok"]
    pictures = [archive.read(f"gradcam-report/{record['report']['map_image']}") for record in records]
    assert len(set(pictures)) == 3
    assert [record["requested_class"] for record in records] == ["3"] * 3
    assert [record["rerun_args"][2:] for record in records] == [[], ["--against", "nearest"], ["--counterfactual"]]
