"""sLSTM in float64 NumPy, from its equations before they are stabilised, gradients by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reference import Array, Weights, sigmoid


class SLSTM:
    """c_t = f c_{t-1} + i z, n_t = f n_{t-1} + i, h_t = o c_t / n_t; stacked as i, f, z, o.

    i = exp(a_i), without the stabiliser m, on which h does not depend (Beck et al. 2024,
    equations 8 to 14); for small a.
    """

    def forward(self, x: Array, weights: Weights) -> tuple[Array, list[Any]]:
        h = c = n = np.zeros(weights.U.shape[1])
        outputs, trace = [], []
        for x_t in x:
            h_before, c_before, n_before = h, c, n
            a = weights.W @ x_t + weights.b_W + weights.U @ h_before + weights.b_U
            a_i, a_f, a_z, a_o = np.split(a, 4)
            i, f, z, o = np.exp(a_i), sigmoid(a_f), np.tanh(a_z), sigmoid(a_o)
            c = f * c_before + i * z
            n = f * n_before + i
            h = o * c / n
            outputs.append(h)
            trace.append((h_before, c_before, n_before, i, f, z, o, c, n, i / n))
        return np.array(outputs), trace

    def backward(
        self, dh_out: Array, x: Array, trace: list[Any], weights: Weights
    ) -> tuple[Array, Weights]:
        dx, gradient = np.zeros_like(x), weights.zeros()
        dh_after, dc_after, dn_after = 0.0, 0.0, 0.0
        for t in reversed(range(len(x))):
            h_before, c_before, n_before, i, f, z, o, c, n, _ = trace[t]
            dh = dh_out[t] + dh_after
            do = dh * c / n
            dc = dc_after + dh * o / n
            dn = dn_after - dh * o * c / n**2
            di, df, dz = dc * z + dn, dc * c_before + dn * n_before, dc * i
            da = np.concatenate([di * i, df * f * (1 - f), dz * (1 - z**2), do * o * (1 - o)])
            gradient.add(da, da, x[t], h_before)
            dx[t] = weights.W.T @ da
            dh_after = weights.U.T @ da
            dc_after, dn_after = dc * f, dn * f
        return dx, gradient
