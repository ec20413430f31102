"""Plain float64 definition of the extended ICA likelihood and a slow, simple way down it."""

from __future__ import annotations

import numpy as np


def moments(x, w):
    """Return means of log(2 cosh y), psi', psi y^T and psi' (y^2)^T for y = w x."""
    y = w @ np.asarray(x, dtype=np.float64)
    psi = np.tanh(y)
    dpsi = 1.0 - psi**2
    n_samples = y.shape[1]
    loglik = np.abs(y) + np.log1p(np.exp(-2.0 * np.abs(y)))
    return loglik.mean(1), dpsi.mean(1), psi @ y.T / n_samples, dpsi @ (y**2).T / n_samples


def signs(x, w):
    """Return 1 for super-Gaussian and -1 for sub-Gaussian sources."""
    y = w @ np.asarray(x, dtype=np.float64)
    psi = np.tanh(y)
    excess = (1 - psi**2).mean(1) * (y**2).mean(1) - (psi * y).mean(1)
    return np.where(excess < 0, -1.0, 1.0)


def loss(x, w, s):
    """Return the negative log-likelihood with densities fixed by the signs."""
    y = w @ np.asarray(x, dtype=np.float64)
    return float(s @ moments(x, w)[0] + 0.5 * (y**2).mean(1).sum() - np.linalg.slogdet(w)[1])


def gradient(x, w, s):
    """Return the relative gradient: E[(s psi(y) + y) y^T] - I."""
    y = w @ np.asarray(x, dtype=np.float64)
    return (s[:, None] * np.tanh(y) + y) @ y.T / y.shape[1] - np.eye(len(y))


def picard(x, w=None, tol=1e-8, max_iter=5000):
    """Return an unmixing matrix by preconditioned gradient descent with halved steps."""
    w = np.eye(len(x)) if w is None else np.array(w, dtype=np.float64)
    for _ in range(max_iter):
        s = signs(x, w)
        g = gradient(x, w, s)
        if np.abs(g).max() < tol:
            break
        y = w @ x
        h = s[:, None] * moments(x, w)[3] + (y**2).mean(1)[None, :]
        step = np.zeros_like(g)
        for i in range(len(w)):
            step[i, i] = g[i, i] / max(h[i, i] + 1.0, 0.01)
            for j in range(i):
                block = np.array([[h[i, j], 1.0], [1.0, h[j, i]]])
                lift = max(0.01 - np.linalg.eigvalsh(block)[0], 0.0)
                block += lift * np.eye(2)
                step[i, j], step[j, i] = np.linalg.solve(block, [g[i, j], g[j, i]])
        now, size = loss(x, w, s), 1.0
        while loss(x, w - size * step @ w, s) > now + 1e-14 and size > 1e-6:
            size /= 2
        w = w - size * step @ w
    return w
