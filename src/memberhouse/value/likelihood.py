"""Maximum likelihood for models whose parameters are all positive."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

# A parameter that ends at a bound says that the data hold nothing against it: that nobody leaves, for example.
_LEAST, MOST = 1e-5, 1e5
# Of the slope at the end, of the mean log-likelihood by the logarithm of a parameter.
_FLAT = 1e-5


class NoModel(Exception):
    """The data at hand do not bear a model; the text says why."""


def maximise(
    mean: Callable[[Floats], tuple[float, Floats]], start: Sequence[float], most: Sequence[float]
) -> tuple[Floats, float]:
    """The parameters of the highest likelihood, and its mean logarithm.

    mean: parameters → the mean log-likelihood of a member and its gradient. most: what each parameter is at most. The
    same data in the same order give the same bits. Raises NoModel when no maximum is found.
    """

    def loss(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs)
        value, gradient = mean(parameters)
        return -value, -gradient * parameters

    low, high = np.log(_LEAST), np.log(most)
    found = minimize(
        loss,
        np.log(start),
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, bound) for bound in high],
        options={"maxiter": 1000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    inside = (found.x > low) & (found.x < high)
    if not np.isfinite(found.fun) or np.any(np.abs(found.jac[inside]) > _FLAT):
        raise NoModel(f"no highest likelihood was found ({found.message})")
    return np.exp(found.x), -float(found.fun)
