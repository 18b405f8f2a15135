"""The likelihood of a logistic model and its slopes, in one pass over the examples.

Sums run in the order of the examples, so that results are the same to the last bit whatever the number of processors: a BLAS with threads
splits its sums by them.
"""

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel


@kernel
def likelihood(
    features: NDArray[np.float64], labels: NDArray[np.float64], share: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The negative log-likelihood of labels (N,) by features (N, K), each example counting for its share (N,).

    With it the gradient (K,) and the Hessian (K, K) by the weights (K,). With x a row of features, v = x · weights and p = 1 / (1 + exp(-v)):
    loss log(1 + exp(v)) - label v, gradient (p - label) x, Hessian p (1 - p) x xᵀ.
    """
    size = features.shape[1]
    loss = 0.0
    gradient = np.zeros(size)
    hessian = np.zeros((size, size))
    for row in range(features.shape[0]):
        value = 0.0
        for place in range(size):
            value += features[row, place] * weights[place]
        # exp of what is never positive: no overflow on either side.
        small = np.exp(-abs(value))
        chance = (1.0 if value >= 0.0 else small) / (1.0 + small)
        loss += share[row] * (max(value, 0.0) + np.log1p(small) - labels[row] * value)
        slope = share[row] * (chance - labels[row])
        bend = share[row] * small / ((1.0 + small) * (1.0 + small))
        for place in range(size):
            gradient[place] += slope * features[row, place]
            bent = bend * features[row, place]
            for other in range(place + 1):
                hessian[place, other] += bent * features[row, other]
    for place in range(size):
        for other in range(place):
            hessian[other, place] = hessian[place, other]
    return loss, gradient, hessian


@kernel
def chances(features: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) what a logistic model with these weights (K,) says of features (N, K)."""
    said = np.empty(features.shape[0])
    for row in range(features.shape[0]):
        value = 0.0
        for place in range(features.shape[1]):
            value += features[row, place] * weights[place]
        small = np.exp(-abs(value))
        said[row] = (1.0 if value >= 0.0 else small) / (1.0 + small)
    return said
