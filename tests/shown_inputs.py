"""Inputs with maps whose colors and places are known."""

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.images.space import Space
from gradcam_cli.methods import maps
from gradcam_cli.output.views import Shown


def shown(pixels, heatmap, kind, spacing=(), box=None, **options):
    heatmap = np.asarray(heatmap, np.float32)
    return Shown(pixels, heatmap, box or Box.whole(heatmap.shape), Space(kind, spacing), maps.peak(heatmap), **options)


def numbered_slices(shape=(9, 24, 16), kind="volume", spacing=(), peak=(6, 5, 11)):
    """Slices whose gray is 20 times their number, and a map of one voxel."""
    pixels = np.zeros((*shape, 3), np.uint8) + 20 * np.arange(shape[0], dtype=np.uint8)[:, None, None, None]
    heatmap = np.zeros(shape)
    heatmap[peak] = 1
    return shown(pixels, heatmap, kind, spacing)
