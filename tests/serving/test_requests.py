"""Parameters of requests: what is missing has its default, what is wrong is refused with its reason."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.serving.requests import MapRequest, map_request

MODEL = {"model": "m0", "image": "0"}


def test_missing_and_empty_parameters_have_their_defaults():
    assert map_request({**MODEL, "layer": "", "class": "", "against": None}) == MapRequest("m0", "0")


def test_all_parameters_are_read():
    values = {**MODEL, "layer": "a/b", "method": "layercam", "class": 3, "against": "nearest", "t": "0.25"}
    expected = MapRequest("m0", "0", "a/b", "layercam", "3", "nearest", 0.25, True)
    assert map_request({**values, "counterfactual": "true"}) == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": ""}, "the parameter model is missing"),
        ({"image": None}, "the parameter image is missing"),
        ({"method": "nothing"}, "method: expected one of gradcam"),
        ({"layer": "x" * 501}, "layer: expected a text"),
        ({"class": ["1"]}, "class: expected a text"),
        ({"t": "0x1"}, "t: expected a number"),
        ({"t": "nan"}, "t: expected a finite number"),
        ({"counterfactual": "yes"}, "counterfactual: expected 0 or 1"),
        ({"path": "/etc/passwd"}, "expected the parameters"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        map_request({**MODEL, **wrong})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("api/map?model=m0&image=0&layer=nothing", 400), ("api/map?model=m0&image=0&layer=predictions", 400)),
        *(("api/map?model=m0&image=0&class=nothing", 400), ("api/map?model=m0&image=0&class=1000", 400)),
        *(("api/map?model=m0&image=0&class=top2", 400), ("api/map?model=m0&image=0&class=-1", 400)),
        *(("api/map?model=m0&image=0&method=nothing", 400), ("api/map?model=m0&image=0&method=flow", 400)),
        *(("api/map?model=m0&image=0&against=3&class=3", 400), ("api/map?model=m0&image=0&against=top", 400)),
        *(("api/map?model=m0&image=0&method=scorecam&against=3", 400), ("api/map?model=m0&image=0&t=0.5", 400)),
        *(("api/map?model=m0&image=0&method=rollout", 400), ("api/map?model=m0&image=0&counterfactual=2", 400)),
        *(("api/map?model=m1&image=0", 404), ("api/map?model=m0&image=9", 404), ("api/map?model=m0", 400)),
        *(("api/predictions?model=m0&image=0&top=x", 400), ("api/predictions?model=m0&image=0&top=-1", 400)),
        *(("api/predictions?model=m0&image=0&top=1e9", 400), ("api/images?offset=99999999999999999999", 400)),
        *(("api/images?limit=501", 400), ("api/classes?model=m0&limit=\N{SUPERSCRIPT TWO}", 400)),
        ("api/session?x=1", 400),
    ],
)
def test_a_wrong_request_is_a_json_error(mini, path, status):
    answer = mini.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert set(answer.json()) == {"error", "hint"}
    assert "Traceback" not in answer.text


def test_an_unexpected_error_shows_no_cause(mini, monkeypatch):
    """The message of an unforeseen error may hold paths of this machine: it goes to the terminal."""

    def fail(*_):
        raise ValueError("/home/person/secret")

    monkeypatch.setattr(mini.session, "map", fail)
    answer = mini.client.get("api/map?model=m0&image=0")
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_classes_are_found_by_index_and_by_name(mini):
    found = mini.json("api/classes", model="m0", query="a")["classes"]
    assert [each["name"] for each in found] == ["airplane", "automobile", "cat"]
    assert mini.json("api/classes", model="m0", query="7")["classes"] == [{"index": 7, "name": "horse"}]
    assert len(mini.json("api/classes", model="m0")["classes"]) == 10
    assert mini.json("api/classes", model="m0", query="zebra") == {"classes": [], "total": 0}


def test_images_are_listed_in_natural_order_and_found_by_name(mini):
    assert mini.json("api/images") == {
        "images": [{"id": "0", "name": "a b.png"}, {"id": "1", "name": "more/c.png"}],
        "total": 2,
    }
    assert mini.json("api/images", query="MORE")["images"] == [{"id": "1", "name": "more/c.png"}]
    assert mini.json("api/images", offset=1, limit=5)["images"] == [{"id": "1", "name": "more/c.png"}]
    assert mini.json("api/images", offset=7)["images"] == []
