"""The contrastive loss of C-DARL between patches of masks (Kim et al. 2024)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskContrast(nn.Module):
    """InfoNCE loss between patches of masks (Kim et al. 2024, eq. 9).

    The masks are cut into square patches, and each patch is projected to a unit vector. The query is a patch of the
    pseudo-mask s^f, its positive the same patch of the cycle's mask, and its negatives the patches of path A's mask.
    The loss is the cross-entropy of picking the positive by its similarity to the query, divided by tau.

    Unlike in the released code, gradients reach the generator through positives and negatives.

    Parameters
    ----------
    patches : tuple of int
        Sides of the patches, px. Sizes larger than the masks are skipped.
    temperature : float
        tau.
    features : int
        Dimensions of the projection.
    """

    def __init__(self, patches: tuple[int, ...] = (16, 32, 64), temperature: float = 0.07, features: int = 64) -> None:
        super().__init__()
        self.patches = patches
        self.temperature = temperature
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(size**2, features), nn.ReLU(), nn.Linear(features, features)) for size in patches
        )

    def forward(self, query: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the mean loss over patch sizes; masks are float (N, 1, H, W) in [-1, 1]."""
        losses = []
        for size, projection in zip(self.patches, self.projections, strict=True):
            if size > min(query.shape[2:]):
                continue
            q, plus, minus = (
                F.normalize(projection(F.unfold(masks, size, stride=size).transpose(1, 2)), dim=2)
                for masks in (query, positive, negative)
            )

            # One row of similarities per query, its positive first.
            positives = (q * plus).sum(dim=2, keepdim=True)
            logits = torch.cat([positives, q @ minus.transpose(1, 2)], dim=2).flatten(0, 1) / self.temperature
            losses.append(F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long)))
        return torch.stack(losses).mean()
