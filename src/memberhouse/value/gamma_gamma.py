"""Gamma-gamma: how much members spend on a purchase day (Fader, Hardie and Lee, Journal of Marketing Research 2005).

The amounts of a member's purchase days are gamma distributed (p, and a scale of its own), the scales gamma distributed
(q, v) among members, whatever the number of purchases. purchases is the number of purchase days that an average was
taken of, average their mean amount, in money; arrays of one length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from memberhouse.value.likelihood import MOST, Floats, NoModel, maximise


@dataclass(frozen=True)
class GammaGamma:
    """The fitted model. v: in money. log_likelihood: of all members."""

    p: float
    q: float
    v: float
    log_likelihood: float

    def expected(self, purchases: Floats, average: Floats) -> Floats:
        """The mean amount of each member's purchase days to come, in money: between its own average and that of all
        members, the nearer to its own the more often it bought. An average below zero counts as zero."""
        expected: Floats = self.p * (self.v + purchases * np.maximum(average, 0)) / (self.p * purchases + self.q - 1)
        return expected


def fit(purchases: Floats, average: Floats, members: Floats) -> GammaGamma:
    """Fit to distinct pairs of number and average, the averages above zero; members: how many have each.

    Raises NoModel when there is no best fit, or none with a mean.
    """
    total = float(np.sum(members))
    unit = float(np.sum(members * average)) / total  # the same start for every currency
    amount = average / unit

    def mean(parameters: Floats) -> tuple[float, Floats]:
        p, q, v = parameters
        shape = p * purchases
        log_sum = np.log(v + purchases * amount)
        logs = (
            gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v)
            + (shape - 1) * np.log(amount) + shape * np.log(purchases) - (shape + q) * log_sum
        )  # fmt: skip
        slopes = (
            purchases * (digamma(shape + q) - digamma(shape) + np.log(purchases * amount) - log_sum),
            digamma(shape + q) - digamma(q) + np.log(v) - log_sum,
            q / v - (shape + q) / (v + purchases * amount),
        )
        return float(np.sum(members * logs)) / total, np.array([np.sum(members * slope) for slope in slopes]) / total

    (p, q, v), highest = maximise(mean, [2, 2, 1], [MOST, MOST, MOST])
    if q <= 1:
        raise NoModel(f"amounts are spread so widely that they have no mean (gamma-gamma, q {q:.3f})")
    return GammaGamma(float(p), float(q), float(v * unit), float(highest - np.log(unit)) * total)
