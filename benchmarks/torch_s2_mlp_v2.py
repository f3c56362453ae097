"""S2-MLPv2 in PyTorch, for comparison.

Written from the paper (https://arxiv.org/abs/2108.01072) in the usual style of PyTorch. It takes
normalised pixels `(B, 3, H, W)`.
"""

import torch
import torch.nn.functional as F
from torch import nn


def shift(x, first):
    """Moves four groups of channels by one pixel and keeps border pixels. `(B, H, W, C)`."""
    a, b, c, d = x.chunk(4, dim=3)
    second = 3 - first  # axes 1 and 2
    y = []
    for group, axis, forward in ((a, first, 1), (b, first, 0), (c, second, 1), (d, second, 0)):
        size = group.shape[axis]
        edge = group.narrow(axis, 0 if forward else size - 1, 1)
        moved = group.narrow(axis, 0 if forward else 1, size - 1)
        y.append(torch.cat([edge, moved] if forward else [moved, edge], dim=axis))
    return torch.cat(y, dim=3)


class SplitAttention(nn.Module):
    """Weights three branches per channel, from their sum over all positions."""

    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, dim // 4, bias=False)
        self.fc2 = nn.Linear(dim // 4, 3 * dim, bias=False)

    def forward(self, branches):
        x = torch.stack(branches, dim=1)  # (B, 3, H, W, C)
        b, k, _, _, c = x.shape
        weights = self.fc2(F.gelu(self.fc1(x.sum((1, 2, 3))))).view(b, k, 1, 1, c).softmax(1)
        return (weights * x).sum(1)


class Block(nn.Module):
    """Shifted token mixing and a channel MLP, each after a norm, on `(B, H, W, C)`."""

    def __init__(self, dim, mlp_ratio):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=1e-5) for _ in range(2))
        self.expand, self.project = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.attention = SplitAttention(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp_ratio * dim), nn.GELU(), nn.Linear(mlp_ratio * dim, dim)
        )

    def forward(self, x):
        x1, x2, x3 = self.expand(self.norm1(x)).chunk(3, dim=3)
        x = x + self.project(self.attention([shift(x1, 1), shift(x2, 2), x3]))
        return x + self.mlp(self.norm2(x))


class S2MLPv2(nn.Module):
    """The Small/7 network by default."""

    def __init__(
        self, patch_sizes=(7, 2), dims=(192, 384), depths=(4, 14), mlp_ratio=3, classes=1000
    ):
        super().__init__()
        stages, channels = [], 3
        for patch, dim, depth in zip(patch_sizes, dims, depths):
            blocks = nn.Sequential(*[Block(dim, mlp_ratio) for _ in range(depth)])
            stages.append(nn.ModuleList([nn.Conv2d(channels, dim, patch, stride=patch), blocks]))
            channels = dim
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(channels, eps=1e-5)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        for stem, blocks in self.stages:
            x = blocks(stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.head(self.norm(x.permute(0, 2, 3, 1)).mean((1, 2)))
