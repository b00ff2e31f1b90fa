"""Metrics on the arrays of tools/quantus_arrays.py are those of Quantus 0.6.0 (tools/quantus_values.py)."""

import json

import numpy as np
import pytest
from doc_blocks import ROOT
from quantus_arrays import LS, MASK, OTHER, XS, L, X, scores

from gradcam_cli.evaluation.metrics import complexity, localization, randomization, robustness, subsets

QUANTUS = json.loads((ROOT / "tests/quantus_values.json").read_text())
X_LAST, XS_LAST = np.moveaxis(X, 0, -1), np.moveaxis(XS, 1, -1)
Y, YS = scores(X[None])[0], scores(XS)


def correlation_of_subsets():
    pixels = [np.array(subset) for subset in QUANTUS["sensitivity-n"]["subsets"]]
    changed = np.repeat(X.reshape(1, -1), len(pixels), axis=0)
    for row, subset in zip(changed, pixels, strict=True):
        row[subset] = 0
    sums = np.array([np.broadcast_to(L, X.shape).ravel()[subset].sum() for subset in pixels])
    return subsets.sensitivity_n(sums, Y[1] - scores(changed)[:, 1], np.full(len(pixels), 0.1))


OURS = {
    "entropy": lambda: complexity.entropy(L),
    "gini": lambda: complexity.gini(L),
    "effective-complexity": lambda: complexity.effective_complexity(L, 0.5 / L.max()) * L.size,  # Quantus counts
    "relevance-rank-accuracy": lambda: localization.relevance_rank_accuracy(L, MASK),
    "relevance-mass-accuracy": lambda: localization.relevance_mass_accuracy(L, MASK),
    "avg-sensitivity": lambda: robustness.avg_sensitivity(L, LS),
    "max-sensitivity": lambda: robustness.max_sensitivity(L, LS),
    "local-lipschitz": lambda: robustness.local_lipschitz(L, LS, X_LAST, XS_LAST),
    "relative-input-stability": lambda: robustness.relative_input_stability(L, LS, X_LAST, XS_LAST),
    "relative-output-stability": lambda: robustness.relative_output_stability(L, LS, Y, YS),
    "smooth-mprt": lambda: randomization.smooth_mprt(LS, OTHER),
    "sensitivity-n": correlation_of_subsets,
}
WRONG = {
    "entropy": lambda: -(L / L.sum() * np.log2(L / L.sum())).sum(),
    "gini": lambda: 1 - 2 * (np.sort(L.ravel()) / L.sum() * (L.size - np.arange(L.size)) / L.size).sum(),
    "effective-complexity": lambda: (np.median(L) < L).sum(),
    "relevance-rank-accuracy": lambda: MASK[np.median(L) < L].mean(),
    "relevance-mass-accuracy": lambda: L[MASK].mean() / L.mean(),
    "avg-sensitivity": lambda: np.mean([np.linalg.norm(other - L) for other in LS]),
    "max-sensitivity": lambda: max(np.abs(other - L).sum() / L.sum() for other in LS),
    "local-lipschitz": lambda: max(np.linalg.norm(a - L) for a in LS) / max(np.linalg.norm(x - X) for x in XS),
    "relative-input-stability": lambda: robustness.relative_input_stability(LS[0], L[None], X_LAST, XS_LAST[:1]),
    "relative-output-stability": lambda: robustness.relative_output_stability(L, LS, Y[1:2], YS[:, 1:2]),
    "smooth-mprt": lambda: np.mean(
        [randomization.smooth_mprt(a[None], b[None]) for a, b in zip(LS, OTHER, strict=True)]
    ),
    "sensitivity-n": lambda: -correlation_of_subsets(),
}


def quantus(name):
    value = QUANTUS[name]
    return value["value"] if isinstance(value, dict) else value


@pytest.mark.parametrize("name", OURS)
def test_values_are_those_of_quantus(name):
    assert OURS[name]() == pytest.approx(quantus(name), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_formulas_have_other_values(name):
    assert abs(WRONG[name]() - quantus(name)) > 1e-3


def test_every_value_of_quantus_is_compared():
    assert set(OURS) == set(QUANTUS) == set(WRONG)
