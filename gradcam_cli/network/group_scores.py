"""The scores of groups of classes, as further units after the classes."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.scores import Scores


def with_groups(scores: Scores, groups: Sequence[Sequence[int]], activation: str | None, score: str) -> Scores:
    """Return the scores of the classes and of the groups, (n, classes + groups).

        p_G = sum_{j in G} p_j,    y_G = log sum_{j in G} exp(y_j)

    y_G is the logit that a softmax over the other classes and G as one class requires for p_G. Its gradient is the mean
    of the gradients of the members, weighted by their shares p_j / p_G.

    Args:
        scores: of the classes.
        groups: indices of the members of each group.
        activation: the output activation, as in `network.logits.Output`.
        score: `logit`, `probability` or `output`.

    Raises:
        ModelError: the classes do not exclude each other, or the score is neither a logit nor a probability.

    Source:
        Deng et al. 2012, Hedging Your Bets: the probability of a superclass is the sum of those of its classes.
    """
    if not groups:
        return scores
    y, logits, p = scores
    sums_to_one = activation == "softmax" or (activation == "linear" and score != "output")
    if not sums_to_one and not (logits is None and score == "probability"):
        raise ModelError(
            "a group of classes requires probabilities that sum to 1, as of a softmax",
            "explain its classes one by one: --class NAME, repeated",
        )

    def extended(values: tf.Tensor, reduce: object) -> tf.Tensor:
        return tf.concat([values, *(reduce(tf.gather(values, list(g), axis=1), 1, True) for g in groups)], axis=1)  # type: ignore[operator]

    return Scores(
        extended(y, tf.reduce_logsumexp if score == "logit" else tf.reduce_sum),
        None if logits is None else extended(logits, tf.reduce_logsumexp),
        extended(p, tf.reduce_sum),
    )
