"""MS-MLP in PyTorch, for comparison.

An independent implementation, written from the paper (https://arxiv.org/abs/2202.06510) and from
the names and shapes in the published checkpoints, so it loads their state dicts unchanged. It takes
normalised pixels `(B, 3, H, W)`.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

KERNEL_SIZES = ((1, 1, 3, 5, 7), (1, 3, 3, 5, 7), (1, 5, 5, 5, 7), (1, 7, 7, 7, 7))
SHIFTS = (-2, -1, 0, 1, 2)


class PatchEmbed(nn.Module):
    """Embeds non-overlapping patches and normalises the channels; returns `(B, H, W, C)`."""

    def __init__(self, channels, dim, patch_size):
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Block(nn.Module):
    """`x + gamma * MLP(norm(mix-shift(x)))` on `(B, H, W, C)`."""

    def __init__(self, dim, kernel_sizes, shifts, mlp_ratio):
        super().__init__()
        sizes = [len(group) for group in torch.arange(dim).chunk(len(kernel_sizes))]

        def convolutions():
            pairs = zip(sizes, kernel_sizes)
            return nn.ModuleList(nn.Conv2d(c, c, k, padding=k // 2, groups=c) for c, k in pairs)

        self.shifts = shifts
        self.dwconv_lr, self.dwconv_td = convolutions(), convolutions()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, int(mlp_ratio * dim))
        self.pwconv2 = nn.Linear(int(mlp_ratio * dim), dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x):
        groups = x.permute(0, 3, 1, 2).chunk(len(self.shifts), 1)  # n x (B, C_g, H, W)
        y = torch.cat(
            [
                across(group.roll(shift, 3)) + down(group.roll(shift, 2))
                for group, shift, across, down in zip(
                    groups, self.shifts, self.dwconv_lr, self.dwconv_td
                )
            ],
            1,
        )
        y = self.norm(y.permute(0, 2, 3, 1))
        return x + self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))


class Stage(nn.Module):
    """Blocks, and the patch embedding of the next stage if there is one."""

    def __init__(self, dim, depth, kernel_sizes, shifts, mlp_ratio, next_dim):
        super().__init__()
        block = (dim, kernel_sizes, shifts, mlp_ratio)
        self.blocks = nn.Sequential(*(Block(*block) for _ in range(depth)))
        self.downsample = PatchEmbed(dim, next_dim, 2) if next_dim else None

    def forward(self, x):
        x = self.blocks(x)
        return self.downsample(x.permute(0, 3, 1, 2)) if self.downsample else x


class MSMLP(nn.Module):
    def __init__(
        self,
        dims=(96, 192, 384, 768),
        depths=(3, 3, 9, 3),
        patch_size=4,
        kernel_sizes=KERNEL_SIZES,
        shifts=SHIFTS,
        mlp_ratio=4,
        classes=1000,
    ):
        super().__init__()
        self.patch_embed = PatchEmbed(3, dims[0], patch_size)
        stages = itertools.zip_longest(dims, depths, kernel_sizes, dims[1:])
        self.layers = nn.Sequential(
            *(
                Stage(dim, depth, sizes, shifts, mlp_ratio, next_dim)
                for dim, depth, sizes, next_dim in stages
            )
        )
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.head = nn.Linear(dims[-1], classes)

    def forward(self, pixels):
        x = self.layers(self.patch_embed(pixels))
        return self.head(self.norm(x.mean((1, 2))))
