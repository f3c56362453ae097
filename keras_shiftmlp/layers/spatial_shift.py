"""Spatial shift: the parameter-free token mixing of S2-MLP and S2-MLPv2."""

from typing import Any, Literal

import keras
from keras import ops

from keras_shiftmlp.kernels.groups import channel_groups

# Direction in which the content moves: (rows down, columns right).
DIRECTIONS = {
    "down": (1, 0),
    "up": (-1, 0),
    "right": (0, 1),
    "left": (0, -1),
    "down_right": (1, 1),
    "down_left": (1, -1),
    "up_right": (-1, 1),
    "up_left": (-1, -1),
}

# The settings of the S2-MLP paper (Figure 2, Table 7), one channel group per direction. The paper
# does not order the groups of (c) to (j). Here they have the order of (a).
SETTINGS = {
    "a": ("down", "up", "right", "left"),
    "b": tuple(DIRECTIONS),
    "c": ("up", "right"),
    "d": ("down", "left"),
    "e": ("down", "up"),
    "f": ("right", "left"),
    "g": ("up",),
    "h": ("down",),
    "i": ("left",),
    "j": ("right",),
}


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class SpatialShift(keras.layers.Layer):
    """Moves each group of channels by one pixel in its own direction.

    The `C` channels are cut into `n` groups, one per direction of `setting`; group `k`
    (counted from 1) ends at channel `floor(k * C / n)`. A group that moves down computes
    `y[b, i, j, c] = x[b, max(i - 1, 0), j, c]`, and so on for the other directions: the line
    at the border keeps its own value (edge replication), nothing wraps and nothing is zero.

    Args:
        setting: One of `"a"` to `"j"`, the settings of the paper's ablation: `"a"` four
            directions, `"b"` eight (with diagonals), `"c"` up and right, `"d"` down and left,
            `"e"` vertical, `"f"` horizontal, `"g"` up, `"h"` down, `"i"` left, `"j"` right.
        order: `"hw"` moves the first two groups of setting `"a"` along the height and the
            last two along the width; `"wh"` swaps the two axes in every setting. Shift 1 of
            S2-MLPv2 is `"hw"`, its shift 2 is `"wh"`.
        border: What a diagonal leaves at the border. `"clamp"` clamps row and column
            separately; `"assign"` reads the paper's `x[1:, 1:] = x[:-1, :-1]` literally, so
            that the whole first row and column stay. Without diagonals the two are equal.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` of any dtype, `H` and `W` at least 1 or unknown, `C` at
            least the number of directions.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For an unknown setting, order or border, an input that is not
            `(B, H, W, C)`, or fewer channels than directions.

    Reference: [S2-MLP](https://arxiv.org/abs/2106.07477), Eq. 3 and Figure 2;
    [S2-MLPv2](https://arxiv.org/abs/2108.01072), Eq. 1 and 2.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(3.0), (1, 1, 3, 1))
    >>> y = SpatialShift("j")(x)  # (j): everything moves right
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(
        self,
        setting: str = "a",
        order: Literal["hw", "wh"] = "hw",
        border: Literal["clamp", "assign"] = "clamp",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for argument, value, choices in (
            ("setting", setting, SETTINGS),
            ("order", order, ("hw", "wh")),
            ("border", border, ("clamp", "assign")),
        ):
            if value not in choices:
                raise ValueError(
                    f"`{argument}` must be one of {', '.join(map(repr, choices))}. "
                    f"Received: `{argument}={value!r}`"
                )
        self.setting = setting
        self.order = order
        self.border = border
        self.steps = [DIRECTIONS[direction] for direction in SETTINGS[setting]]
        if order == "wh":
            self.steps = [(dx, dy) for dy, dx in self.steps]

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        n, channels = len(self.steps), inputs.shape[-1]
        move = _assign_diagonal if self.border == "assign" else _clamp
        sizes = [(k + 1) * channels // n - k * channels // n for k in range(n)]
        # (B, H, W, C) -> n x (B, H, W, C / n) -> (B, H, W, C)
        groups = channel_groups(inputs, sizes)
        outputs = [move(x, dy, dx) for x, (dy, dx) in zip(groups, self.steps)]
        return outputs[0] if n == 1 else ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4:
            raise ValueError(
                "`SpatialShift` needs a map of shape `(B, H, W, C)`. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        if input_shape[-1] is None or input_shape[-1] < len(self.steps):
            raise ValueError(
                f"Setting {self.setting!r} shifts {len(self.steps)} groups of channels, so that "
                f"many channels are needed. Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def get_config(self):
        config = {"setting": self.setting, "order": self.order, "border": self.border}
        return {**super().get_config(), **config}


def _clamp(x, dy, dx):
    """Moves `(B, H, W, C)` by `dy` rows and `dx` columns, each of -1, 0 or +1."""
    return _move(_move(x, 1, dy), 2, dx)


def _assign_diagonal(x, dy, dx):
    """Like `_clamp`, but a diagonal step leaves one row and one column as they were."""
    if not (dy and dx):
        return _clamp(x, dy, dx)
    if x.shape[1] == 1:
        return x
    above, below = x[:, :-1], x[:, 1:]
    if dy > 0:
        pieces = [x[:, :1], _move(above, 2, dx, border=below)]
    else:
        pieces = [_move(below, 2, dx, border=above), x[:, -1:]]
    return ops.concatenate(pieces, axis=1)


def _move(x, axis, step, border=None):
    """Moves `x` by `step` along `axis`; the line that is left comes from `border`, else `x`."""
    border = x if border is None else border
    if step == 0 or x.shape[axis] == 1:
        return border
    before = (slice(None),) * axis
    if step > 0:
        pieces = [border[(*before, slice(None, 1))], x[(*before, slice(None, -1))]]
    else:
        pieces = [x[(*before, slice(1, None))], border[(*before, slice(-1, None))]]
    return ops.concatenate(pieces, axis=axis)
