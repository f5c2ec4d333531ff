"""The noise schedule of the diffusion module (Ho et al. 2020; Kim et al. 2023, section 3).

The forward process adds noise step by step: q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I). With
abar_t = prod_{s <= t} (1 - beta_s), x_t is drawn from x_0 at once. The reverse process removes the noise that the
denoiser predicts. Timesteps count from 0, and abar_{-1} = 1.
"""

import numpy as np
import torch
from torch import Tensor, nn

from napari_darl.darl.config import ScheduleConfig


class NoiseSchedule(nn.Module):
    """Forward and reverse steps of the diffusion.

    Coefficients are computed in float64 and kept in float32, as published.

    Parameters
    ----------
    config : ScheduleConfig
        T and the range of beta.
    """

    coefficients: Tensor

    def __init__(self, config: ScheduleConfig) -> None:
        super().__init__()
        beta = np.linspace(config.first_beta, config.last_beta, config.steps, dtype=np.float64)
        alpha_bar = np.cumprod(1 - beta)
        before = np.append(1.0, alpha_bar[:-1])
        table = np.stack(
            [
                np.sqrt(alpha_bar),
                np.sqrt(1 - alpha_bar),
                beta * np.sqrt(before) / (1 - alpha_bar),
                (1 - before) * np.sqrt(1 - beta) / (1 - alpha_bar),
                beta * (1 - before) / (1 - alpha_bar),
            ]
        )
        self.register_buffer("coefficients", torch.tensor(table, dtype=torch.float32), persistent=False)

    def add_noise(self, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps (Ho et al. 2020, eq. 4).

        Parameters
        ----------
        clean, noise : Tensor
            x_0 in [-1, 1] and eps ~ N(0, 1), both (N, 1, H, W).
        t : Tensor
            Timesteps, int64 (N,), from 0.
        """
        signal, sigma, *_ = self._at(t)
        return signal * clean + sigma * noise

    def clean_estimate(self, noisy: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_0 = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), clipped to [-1, 1]."""
        signal, sigma, *_ = self._at(t)
        return ((noisy - sigma * noise) / signal).clamp(-1, 1)

    def reverse_mean(self, noisy: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return the mean of q(x_{t-1} | x_t, x_0), with the clipped estimate of x_0 (Ho et al. 2020, eq. 7)."""
        *_, of_clean, of_noisy, _ = self._at(t)
        return of_clean * self.clean_estimate(noisy, t, noise) + of_noisy * noisy

    def reverse_variance(self, t: Tensor) -> Tensor:
        """Return sigma_t^2 = beta_t (1 - abar_{t-1}) / (1 - abar_t), float32 (N, 1, 1, 1); 0 at t = 0."""
        return self._at(t)[-1]

    def reverse_step(self, noisy: Tensor, t: Tensor, noise: Tensor, fresh: Tensor) -> Tensor:
        """Return x_{t-1} = mu + sigma_t z, one ancestral step (Ho et al. 2020, algorithm 2).

        Parameters
        ----------
        noisy, noise, fresh : Tensor
            x_t, the predicted eps and z ~ N(0, 1), all (N, 1, H, W).
        t : Tensor
            Timesteps, int64 (N,).
        """
        return self.reverse_mean(noisy, t, noise) + self.reverse_variance(t).sqrt() * fresh

    def implicit_step(self, noisy: Tensor, t: Tensor, before: Tensor, noise: Tensor) -> Tensor:
        """Return x_before, one deterministic step from x_t (DDIM; Song et al. 2021, eq. 12 with sigma = 0).

        The noise of x_before is computed from x_t and the clipped estimate of x_0.

        Parameters
        ----------
        noisy, noise : Tensor
            x_t and the predicted eps, both (N, 1, H, W).
        t, before : Tensor
            Timesteps, int64 (N,), `before` < `t`.
        """
        clean = self.clean_estimate(noisy, t, noise)
        signal, sigma, *_ = self._at(t)
        return self.add_noise(clean, before, (noisy - signal * clean) / sigma)

    def _at(self, t: Tensor) -> tuple[Tensor, ...]:
        return tuple(row[t].view(-1, 1, 1, 1) for row in self.coefficients)
