"""Compute the values of Quantus that tests/evaluation/test_quantus.py compares the metrics with.

Run with Quantus 0.6.0 installed, in an environment of its own (it needs neither Keras nor PyTorch for this):

    python tools/quantus_values.py > tests/quantus_values.json
"""

import json
from typing import Any

import numpy as np
import quantus
from quantus_arrays import LS, MASK, OTHER, XS, L, X, scores

QUIET = {"disable_warnings": True, "display_progressbar": False}
RAW = {"normalise": False, "abs": False, **QUIET}
SUBSET_SIZE, RUNS = 20, 16


class Model:
    """What Quantus asks of a model, for the scores of `quantus_arrays`."""

    def predict(self, x: np.ndarray, **_: Any) -> np.ndarray:
        """Return the scores of inputs (n, 3, 6, 8) or of their rows of values."""
        y: np.ndarray = scores(x.reshape(-1, *X.shape))
        return y

    def shape_input(self, x: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        """Return the inputs as they are."""
        return x


def on_noisy_inputs(metric: Any) -> float:
    """Return the value of a robustness metric, with XS as the noisy inputs and LS as their maps."""
    noisy_inputs, noisy_maps = iter(XS), iter(LS)
    metric.perturb_func = lambda arr, **_: next(noisy_inputs).reshape(1, -1)
    metric.explain_batch = lambda *_, **__: next(noisy_maps)[None, None]
    metric.changed_prediction_indices_func = lambda *_: []
    (value,) = metric.evaluate_batch(model=Model(), x_batch=X[None], y_batch=np.array([1]), a_batch=L[None, None])
    return float(value)


def faithfulness_correlation() -> dict[str, Any]:
    """Return the subsets of pixels that Quantus draws, and the correlation."""
    subsets: list[list[int]] = []

    def replace_by_zero(arr: np.ndarray, indices: np.ndarray, **_: Any) -> np.ndarray:
        subsets.append(indices[0].tolist())
        changed = arr.copy()
        changed[0, indices[0]] = 0
        return changed

    metric = quantus.FaithfulnessCorrelation(nr_runs=RUNS, subset_size=SUBSET_SIZE, return_aggregate=False, **RAW)
    metric.perturb_func = replace_by_zero
    np.random.seed(0)  # the generator of Quantus
    L_of_values = np.broadcast_to(L, X.shape)[None]
    (value,) = metric.evaluate_batch(model=Model(), x_batch=X[None], y_batch=np.array([1]), a_batch=L_of_values)
    return {"subsets": subsets, "value": float(value)}


def values() -> dict[str, Any]:
    """Return the value of each metric, by its name in gradcam."""
    samples = {"nr_samples": len(XS), **RAW}
    maps, masks = L[None, None], MASK[None, None]
    return {
        "entropy": float(quantus.Complexity(**QUIET).evaluate_batch(None, maps.copy())[0]),
        "gini": float(quantus.Sparseness(**QUIET).evaluate_batch(None, maps.copy())[0]),
        "effective-complexity": int(quantus.EffectiveComplexity(eps=0.5, **QUIET).evaluate_batch(maps)[0]),
        "relevance-rank-accuracy": float(quantus.RelevanceRankAccuracy(**QUIET).evaluate_batch(maps, masks)[0]),
        "relevance-mass-accuracy": float(quantus.RelevanceMassAccuracy(**QUIET).evaluate_batch(maps, masks)[0]),
        "avg-sensitivity": on_noisy_inputs(quantus.AvgSensitivity(**samples)),
        "max-sensitivity": on_noisy_inputs(quantus.MaxSensitivity(**samples)),
        "local-lipschitz": on_noisy_inputs(quantus.LocalLipschitzEstimate(**samples)),
        "relative-input-stability": on_noisy_inputs(quantus.RelativeInputStability(**samples)),
        "relative-output-stability": on_noisy_inputs(quantus.RelativeOutputStability(**samples)),
        "smooth-mprt": float(quantus.correlation_spearman(LS.mean(axis=0).ravel(), OTHER.mean(axis=0).ravel())),
        "sensitivity-n": faithfulness_correlation(),
    }


if __name__ == "__main__":
    print(json.dumps(values()))
