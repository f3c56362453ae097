"""Mix-shift: MS-MLP's regional mixing, a roll and a depthwise convolution per channel group."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.depthwise import depthwise_conv
from keras_shiftmlp.kernels.groups import channel_groups
from keras_shiftmlp.kernels.initializers import initial


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class MixShift(keras.layers.Layer):
    """Mixes each group of channels with a region at a given distance.

    The `C` channels are cut into `n` groups of `ceil(C / n)`, and the last one takes the rest
    (`torch.chunk`'s rule). Group `g` has a shift `d_g` and an odd kernel size `k_g`:

        h_g = DepthwiseConv_{k_g}(roll(x_g, d_g, axis=W))     horizontal, with bias
        v_g = DepthwiseConv_{k_g}(roll(x_g, d_g, axis=H))     vertical, kernels of its own
        y   = concat_g(h_g + v_g)

    The roll wraps around; the convolution comes after it and pads with zeros. A 1x1 group is a
    learned scale and offset. Shifts and kernels may be larger than the map.

    Args:
        kernel_sizes: One odd size per group.
        shifts: One signed distance in pixels per group; positive moves content right and down.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`, such that `C` gives as many groups as there are sizes.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For an even kernel size, lists of different length, or a width that the
            chunk rule cuts into fewer groups.

    Reference: [MS-MLP](https://arxiv.org/abs/2202.06510), section 3.2; order and shifts as in
    the released code, which rolls before it convolves.

    Example:

    >>> tuple(MixShift()(keras.random.normal((2, 7, 5, 24))).shape)
    (2, 7, 5, 24)
    """

    is_slow_with_xla_on_cpu = True  # its depthwise convolutions

    def __init__(
        self,
        kernel_sizes: Sequence[int] = (1, 1, 3, 5, 7),
        shifts: Sequence[int] = (-2, -1, 0, 1, 2),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_groups(kernel_sizes, shifts)
        self.kernel_sizes = tuple(kernel_sizes)
        self.shifts = tuple(shifts)

    def build(self, input_shape):
        self.group_sizes = chunk_sizes(input_shape[-1], len(self.kernel_sizes))
        # Uniform within 1 / sqrt(fan_in) for kernels and biases, as in the released code.
        self.horizontal = self._add_branch("horizontal")
        self.vertical = self._add_branch("vertical")
        self.built = True

    def _add_branch(self, name):
        weights = []
        for group, (k, size) in enumerate(zip(self.kernel_sizes, self.group_sizes)):
            for weight, shape in (("kernel", (k, k, size, 1)), ("bias", (size,))):
                uniform = keras.initializers.RandomUniform(-1 / k, 1 / k)
                name_of_group = f"{name}_{group}_{weight}"
                weights.append(self.add_weight(shape, initial(uniform), name=name_of_group))
        return list(zip(weights[::2], weights[1::2]))  # one (kernel, bias) per group

    def call(self, inputs):
        # (B, H, W, C) -> n x (B, H, W, C_g)
        groups = channel_groups(inputs, self.group_sizes)
        outputs = [None] * len(groups)
        for k in set(self.kernel_sizes):
            # One convolution for all groups of a kernel size and both branches: few large ones
            # are faster than many small ones.
            members = [g for g, size in enumerate(self.kernel_sizes) if size == k]
            x = [_roll(groups[g], self.shifts[g], axis=2) for g in members]
            x += [_roll(groups[g], self.shifts[g], axis=1) for g in members]
            kernels = [b[g][0] for b in (self.horizontal, self.vertical) for g in members]
            biases = [self.horizontal[g][1] + self.vertical[g][1] for g in members]
            # 2m x (B, H, W, C_g) -> (B, H, W, 2 sum of C_g)
            y = depthwise_conv(ops.concatenate(x, axis=-1), ops.concatenate(kernels, axis=2))
            h, v = ops.split(y, 2, axis=-1)
            # The biases of both branches are added in one step, in place if the backend can.
            y = h + v
            y += ops.concatenate(biases, axis=0)
            # (B, H, W, sum of C_g) -> m x (B, H, W, C_g)
            for g, part in zip(members, channel_groups(y, [self.group_sizes[g] for g in members])):
                outputs[g] = part
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def depthwise_macs(self) -> int:
        taps = sum(k * k * size for k, size in zip(self.kernel_sizes, self.group_sizes))
        return 2 * taps * math.prod(self.output.shape[1:3])

    def get_config(self):
        config = {"kernel_sizes": self.kernel_sizes, "shifts": self.shifts}
        return {**super().get_config(), **config}


def check_groups(kernel_sizes: Sequence[int], shifts: Sequence[int]) -> None:
    """Raises unless each channel group has an odd kernel size and a shift."""
    if not kernel_sizes or any(k < 1 or k % 2 == 0 for k in kernel_sizes):
        raise ValueError(
            "`kernel_sizes` must be odd and positive. "
            f"Received: `kernel_sizes={tuple(kernel_sizes)}`"
        )
    if len(kernel_sizes) != len(shifts):
        raise ValueError(
            "`kernel_sizes` and `shifts` must have one entry per group. "
            f"Received: `kernel_sizes={tuple(kernel_sizes)}`, `shifts={tuple(shifts)}`"
        )


def chunk_sizes(channels: int, groups: int) -> list[int]:
    """The sizes of `groups` channel groups by the rule of `torch.chunk`."""
    size = math.ceil(channels / groups)
    last = channels - size * (groups - 1)
    if last < 1:
        raise ValueError(
            f"{channels} channels can't be cut into {groups} groups of {size}. "
            f"Received: `channels={channels}`, `groups={groups}`"
        )
    return [size] * (groups - 1) + [last]


def _roll(x, shift, axis):
    return ops.roll(x, shift, axis=axis) if shift else x
