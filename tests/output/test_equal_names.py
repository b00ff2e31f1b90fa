"""Planning of the names of inputs that all have the same name."""

from gradcam_cli.images.source import Source
from gradcam_cli.output import naming
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import plan_outputs


def names(sources):
    planned = plan_outputs(sources, parse_destination(None, ()), [("auto", "gradcam", "top1")])
    return [output.path.name for _, (output,) in planned]


def test_equal_names_are_planned_in_linear_time(monkeypatch):
    """2,000 files `cat.jpg` of as many folders: a few names are tried for each, and all are different."""
    tried = []
    original = naming._digest
    monkeypatch.setattr(naming, "_digest", lambda key: tried.append(key) or original(key))
    planned = names(Source(f"{number}/cat.jpg") for number in range(2000))
    assert planned[:4] == ["cat_gradcam.png", "cat.jpg_gradcam.png", "cat_2_gradcam.png", "cat_3_gradcam.png"]
    assert len(set(planned)) == 2000
    assert len(tried) <= 5 * 2000


def test_numbers_of_different_stems_are_independent():
    """A name that an input itself has is not used twice."""
    sources = [f"{number}/{name}.jpg" for number in range(4) for name in ("cat", "dog", "cat_2", "CAT")]
    planned = [name.casefold() for name in names(map(Source, sources))]
    assert len(set(planned)) == len(sources)
