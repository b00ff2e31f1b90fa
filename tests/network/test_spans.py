"""Spans: the part of the model input that the cells of a layer cover, worked out by hand."""

import pytest

from gradcam_cli.network.provenance.spans import Span

FULL = Span(224, 0, 224)


def test_same_convolution_and_pooling_keep_the_interval():
    assert FULL.convolved(112, 3, valid=False).interval == (0, 224)
    assert FULL.convolved(111, 3, valid=True).interval == (0, 224)


def test_convolution_uses_up_the_padding_before_it():
    """ResNet: three zeros on each side and a valid 7x7 convolution are a `same` convolution."""
    padded = FULL.padded(3, 3)
    assert padded.interval == (-3, 227)
    assert padded.convolved(112, 7, valid=True).interval == (0, 224)


def test_padding_that_no_convolution_uses_up_stays_outside():
    """100 zeros at the left of 100 pixels: a 3x3 convolution uses one of them."""
    start, stop = Span(100, 0, 100).padded(100, 0).convolved(198, 3, valid=True).interval
    assert start == pytest.approx(-99)
    assert stop == 100


def test_crop_removes_padding_first():
    assert Span(10, 0, 20).padded(2, 0).cropped(3, 1).interval == (2, 18)


def test_reversed_twice_is_the_same():
    span = Span(10, 0, 20).padded(2, 1)
    assert span.reversed().pixels_per_cell == -2
    assert span.reversed().interval == span.interval[::-1]
    assert span.reversed().reversed() == span


def test_resized_keeps_the_interval():
    span = Span(10, 0, 20).padded(2, 0).resized(6)
    assert (span.cells, span.interval) == (6, (-4, 20))
