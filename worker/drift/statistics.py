"""How far two histograms are apart. All take counts of the same bins, in any units; an empty side gives NaN.

Jensen-Shannon decides (``worker.drift.significance``), the others are shown. Arguments may have leading axes, which
broadcast; the last axis is the bins. What is lost against unbinned data is stated beside each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from worker.records import FloatArray

PSI_FLOOR = 1e-4
"""What a share is counted as at least, in PSI; customary, for PSI is infinite where one side is empty."""


def jensen_shannon(p_counts: ArrayLike, q_counts: ArrayLike) -> float:
    """Jensen-Shannon distance of two histograms: the square root of the divergence in bits, 0 (equal) to 1 (disjoint).

    Binning only takes from it: bins tell less than the values (data processing inequality).
    """
    return float(jensen_shannon_distances(p_counts, q_counts))


def jensen_shannon_distances(p_counts: ArrayLike, q_counts: ArrayLike) -> FloatArray:
    """The same of many histograms at once."""
    divergence: FloatArray = divergence_terms(shares(p_counts), shares(q_counts)).sum(-1)
    return np.sqrt(np.clip(divergence, 0.0, 1.0))


def divergence_terms(p: FloatArray, q: FloatArray) -> FloatArray:
    """What each bin adds to the Jensen-Shannon divergence of shares ``p`` and ``q``, in bits; none is negative.

    J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991): the mean of the
    Kullback-Leibler divergences of ``p`` and of ``q`` from their mean ``m``, here with m - p and m - q added, which
    cancel.
    """
    m = (p + q) / 2
    terms: FloatArray = (special.kl_div(p, m) + special.kl_div(q, m)) / (2 * np.log(2))
    return terms


def psi(p_counts: ArrayLike, q_counts: ArrayLike) -> FloatArray:
    """Population stability index: sum of (q - p) ln(q / p), that is, Jeffreys' symmetric divergence, in nats.

    H. Jeffreys, Proc. R. Soc. A 186 (1946); as PSI: N. Siddiqi, Credit Risk Scorecards (2006). Shares below
    ``PSI_FLOOR`` are taken as that. For small shifts it is 8 ln 2 = 5.5 times the Jensen-Shannon divergence in bits.
    """
    p, q = (np.maximum(shares(counts), PSI_FLOOR) for counts in (p_counts, q_counts))
    total: FloatArray = ((q - p) * np.log(q / p)).sum(-1)
    return total


def hellinger(p_counts: ArrayLike, q_counts: ArrayLike) -> FloatArray:
    """Hellinger distance, 0 to 1: E. Hellinger, J. reine angew. Math. 136 (1909), as sqrt(1 - sum of sqrt(p q))."""
    overlap: FloatArray = np.sqrt(shares(p_counts) * shares(q_counts)).sum(-1)
    return np.sqrt(np.clip(1.0 - overlap, 0.0, 1.0))


def chi_squared(p_counts: ArrayLike, q_counts: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Pearson's statistic of homogeneity of two samples, and its p value if records were independent.

    K. Pearson, Biometrika 8 (1911); as ``scipy.stats.chi2_contingency`` without correction, over the bins in which
    either sample has a record.
    """
    p, q = np.broadcast_arrays(np.asarray(p_counts, np.float64), np.asarray(q_counts, np.float64))
    p_total, q_total = p.sum(-1), q.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(q_total / p_total)[..., None]
        terms = np.where(p + q > 0, (p * ratio - q / ratio) ** 2 / (p + q), 0.0)
    statistic: FloatArray = terms.sum(-1)
    p_value: FloatArray = special.chdtrc(np.maximum((p + q > 0).sum(-1) - 1, 1), statistic)
    return statistic, p_value


def kolmogorov_smirnov(p_counts: ArrayLike, q_counts: ArrayLike) -> FloatArray:
    """The largest difference of the two distribution functions, at the edges between ordered bins.

    N. Smirnov, Ann. Math. Stat. 19 (1948). At most that of the unbinned data (``scipy.stats.ks_2samp``), and less by at
    most the larger of the two samples' largest shares in a bin.
    """
    gaps = np.abs(np.cumsum(shares(p_counts) - shares(q_counts), -1))
    largest: FloatArray = gaps.max(-1)
    return largest


def wasserstein(p_counts: ArrayLike, q_counts: ArrayLike, edges: ArrayLike) -> FloatArray:
    """Earth mover's distance in the values' unit: the area between the two distribution functions.

    L. Vaserstein, Probl. Peredachi Inf. 5 (1969); as ``scipy.stats.wasserstein_distance`` of records that lie evenly
    in their bins. ``counts`` are of below, the k bins between the k + 1 ``edges``, and above; the outer two are taken
    to lie on their edge. Off by at most half a bin's width a record on each side, and what lies beyond the edges.
    """
    edges, differences = np.asarray(edges, np.float64), shares(p_counts) - shares(q_counts)
    at_edges = np.cumsum(differences, -1)[..., :-1]
    left, right = at_edges[..., :-1], at_edges[..., 1:]
    crossed = left * right < 0
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(crossed, (left**2 + right**2) / np.abs(left - right), np.abs(left + right)) / 2
    area: FloatArray = (between * np.diff(edges)).sum(-1)
    return area


def mean_shift(p_counts: ArrayLike, q_counts: ArrayLike, edges: ArrayLike) -> FloatArray:
    """By how many standard deviations of ``p`` the mean of ``q`` is higher, every record put in the middle of its bin.

    Counts as for ``wasserstein``; Cohen's d with the reference's deviation (Glass, Primary, secondary, and
    meta-analysis, 1976). 0 where ``p`` does not vary.
    """
    edges = np.asarray(edges, np.float64)
    middles = np.concatenate((edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]))
    p, q = shares(p_counts), shares(q_counts)
    mean = (p * middles).sum(-1)
    deviation = np.sqrt((p * (middles - mean[..., None]) ** 2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift: FloatArray = np.where(deviation > 0, ((q * middles).sum(-1) - mean) / deviation, 0.0)
    return shift


def shares(counts: ArrayLike) -> FloatArray:
    """Counts as parts of their total; NaN where there are none."""
    known: Any = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):
        parts: FloatArray = known / known.sum(-1, keepdims=True)
    return parts
