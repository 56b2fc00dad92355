"""Methods that decompose the feature maps: their principal component, with its sign fixed.

Each is a pure function of activations (B, C, *grid) and gradients (B, K, C, *grid), of any spatial rank,
and returns maps (B, K, *grid), raw. The sign of a component is arbitrary; here it is that in which the
map agrees with the plain sum over channels. No map here is in logit units.
"""

from __future__ import annotations

import torch
from torch import Tensor

LANDMARKS = 2048
"""Places that span the kernel of KPCA-CAM; grids of no more places are decomposed exactly."""


def eigen_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Eigen-CAM (Muhammad and Yeasin 2020, eq. 6): A v, v the first right singular vector of A (places, C).

    Knows nothing of classes: every class gets the same map. Activations are not centred, as in the
    paper; of activations >= 0 the map is then >= 0.
    """
    one = torch.stack([_principal(sample) for sample in _places_by_channels(activations)])
    return _for_every_class(one, activations, gradients)


def eigengrad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """EigenGrad-CAM (no paper): M v, v the first right singular vector of M = g A (places, C).

    Eigen-CAM on what HiResCAM sums up, hence of a class.
    """
    maps = torch.stack(
        [
            torch.stack([_principal(_rows(gradient * sample)) for gradient in gradients[b]])
            for b, sample in enumerate(activations)
        ]
    )
    return maps.reshape(*maps.shape[:2], *activations.shape[2:])


def kpca_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """KPCA-CAM (Karmani et al. 2024): the first kernel principal component of the places.

    The kernel is tanh(x y / C + 1) of centred channels x, y, itself centred in feature space. Every class
    gets the same map. Grids of more than 2048 places are spanned by 2048 of them, evenly spread (Nystroem):
    memory grows with the places, not with their square.
    """
    one = torch.stack([_kernel_principal(sample) for sample in _places_by_channels(activations)])
    return _for_every_class(one, activations, gradients)


def _places_by_channels(activations: Tensor) -> list[Tensor]:
    return [_rows(sample) for sample in activations]


def _rows(maps: Tensor) -> Tensor:
    """Return maps (C, *grid) as rows of places (N, C)."""
    return maps.flatten(1).T


def _for_every_class(one: Tensor, activations: Tensor, gradients: Tensor) -> Tensor:
    batch, classes = gradients.shape[:2]
    return one.reshape(batch, 1, *activations.shape[2:]).expand(-1, classes, *activations.shape[2:])


def _principal(matrix: Tensor) -> Tensor:
    """Return M v (N,), v the first right singular vector of M (N, C), by the smaller Gram matrix."""
    m = matrix.double()
    if m.shape[0] >= m.shape[1]:
        component = m @ _first_eigenvector(m.T @ m)
    else:  # the first left singular vector u: M v = sigma u
        left = _first_eigenvector(m @ m.T)
        component = left * (left @ m).norm()
    return _signed_like(component, m.sum(1)).to(matrix.dtype)


def _kernel_principal(matrix: Tensor) -> Tensor:
    m = matrix.double()
    x = m - m.mean(0)
    some = x[_spread(len(x))]
    kernel = _sigmoid(some, some)
    means = kernel.mean(0)
    centred = kernel - means - means[:, None] + means.mean()
    values, vectors = torch.linalg.eigh(centred)
    if values[-1] <= 0:
        return torch.zeros_like(matrix[:, 0])
    coefficients = vectors[:, -1] / values[-1].sqrt()
    parts = []
    for part in torch.split(x, LANDMARKS):
        to_some = _sigmoid(part, some)
        parts.append((to_some - to_some.mean(1, keepdim=True) - means + means.mean()) @ coefficients)
    return _signed_like(torch.cat(parts), m.sum(1)).to(matrix.dtype)


def _spread(count: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, LANDMARKS)).round().long()


def _sigmoid(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).tanh()


def _first_eigenvector(gram: Tensor) -> Tensor:
    vectors: Tensor = torch.linalg.eigh(gram).eigenvectors
    return vectors[:, -1]


def _signed_like(component: Tensor, plain: Tensor) -> Tensor:
    """Turn a component to agree with `plain`; if at right angles, its largest value is made positive."""
    agreement = component @ plain
    if agreement.abs() <= 1e-9 * component.norm() * plain.norm():
        agreement = component[component.abs().argmax()]
    return -component if agreement < 0 else component
