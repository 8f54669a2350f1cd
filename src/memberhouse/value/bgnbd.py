"""BG/NBD: how often members buy again, and whether they still do (Fader, Hardie and Lee, Marketing Science 2005).

While a member buys, it does so at its own rate, gamma distributed (r, alpha) among members. After each purchase it
leaves for good with its own probability, beta distributed (a, b). Time is counted in weeks from the first purchase,
which is itself no repeat: repeats is the number of purchase days after it, recency the weeks from it to the last one,
age the weeks from it to the as-of date. All three are arrays of one length, a place a member.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, expit, gammaln, hyp2f1

from memberhouse.value.likelihood import MOST, Floats, maximise

# All members leave with nearly the same probability from here on, and above it the terms of `expected` outgrow a float.
_MOST_A = 100.0


@dataclass(frozen=True)
class BgNbd:
    """The fitted model. log_likelihood: of all members."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def p_alive(self, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        """The probability that each member still buys; 1 without a repeat, because one leaves only after one."""
        gone = (
            np.log(self.a)
            - np.log(self.b + np.maximum(repeats, 1) - 1)
            + (self.r + repeats) * np.log((self.alpha + age) / (self.alpha + recency))
        )
        alive: Floats = np.where(repeats > 0, expit(-gone), 1.0)
        return alive

    def expected(self, weeks: float, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        """How many purchase days each member will have in the weeks after the as-of date.

        The paper's equation 10 after Euler's transformation of its hypergeometric function, by which nothing in it
        grows beyond what a float holds, however often a member bought.
        """
        a = self.a if abs(self.a - 1) > 1e-6 else 1 + 1e-6  # at 1 it is 0 / 0, with a limit
        share = weeks / (self.alpha + age + weeks)
        series = hyp2f1(a + self.b - 1 - self.r, a - 1, a + self.b + repeats - 1, share)
        while_alive = (a + self.b + repeats - 1) / (a - 1) * (1 - (1 - share) ** (a - 1) * series)
        expected: Floats = while_alive * self.p_alive(repeats, recency, age)
        return expected


def fit(repeats: Floats, recency: Floats, age: Floats, members: Floats) -> BgNbd:
    """Fit to distinct histories; members: how many have each. Raises NoModel."""
    total = float(np.sum(members))
    bought = repeats > 0
    before_last = np.maximum(repeats, 1) - 1

    def mean(parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = parameters
        log_age, log_recency = np.log(alpha + age), np.log(alpha + recency)
        # who still buys, and who left after the last purchase
        stayed = -(r + repeats) * log_age
        left = np.where(bought, np.log(a) - np.log(b + before_last) - (r + repeats) * log_recency, -np.inf)
        either = np.logaddexp(stayed, left)
        logs = (
            gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
            + gammaln(a + b) + gammaln(b + repeats) - gammaln(b) - gammaln(a + b + repeats)
            + either
        )  # fmt: skip
        is_gone = np.exp(left - either)
        is_there = 1 - is_gone
        of_both = digamma(a + b) - digamma(a + b + repeats)
        slopes = (
            digamma(r + repeats) - digamma(r) + np.log(alpha) - is_there * log_age - is_gone * log_recency,
            r / alpha - (r + repeats) * (is_there / (alpha + age) + is_gone / (alpha + recency)),
            of_both + is_gone / a,
            of_both + digamma(b + repeats) - digamma(b) - is_gone / (b + before_last),
        )
        return float(np.sum(members * logs)) / total, np.array([np.sum(members * slope) for slope in slopes]) / total

    (r, alpha, a, b), highest = maximise(mean, [1, 1, 1, 1], [MOST, MOST, _MOST_A, MOST])
    return BgNbd(float(r), float(alpha), float(a), float(b), highest * total)
