"""Whether what some images share marks one class: a bound on the probability that natural content does so."""

from __future__ import annotations

from scipy.stats import binom

MAX_NATURAL_RATIO = 5.0
"""Natural content is assumed to be at most this number of times as frequent in a class as in all others together."""


def exclusive_p_value(
    in_class: int, class_size: int, in_others: int, others_size: int, ratio: float = MAX_NATURAL_RATIO
) -> float:
    """Return the p-value of the hypothesis that content is at most `ratio` times as frequent in a class as elsewhere.

    Given that K = in_class + in_others images have the content, in_class is at most binomial with K trials and the
    probability q = ratio n_c / (ratio n_c + n_o), for n_c images of the class and n_o others: the value is
    P(X >= in_class).

    Args:
        in_class: images of the class with the content.
        class_size: images of the class.
        in_others: images of the other classes with the content.
        others_size: images of the other classes.
        ratio: the largest natural ratio of the two frequencies.
    """
    q = ratio * class_size / (ratio * class_size + others_size)
    return float(binom.sf(in_class - 1, in_class + in_others, q))
