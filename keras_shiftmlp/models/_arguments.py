"""The checks of arguments, all before anything is built or downloaded."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras


def check_integers(*, minimum: int = 1, **values: Any) -> None:
    """Raises unless each hyper-parameter is one or more integers of at least `minimum`."""
    for argument, value in values.items():
        for item in keras.tree.flatten(value):
            if isinstance(item, bool) or not hasattr(item, "__index__") or item < minimum:
                raise ValueError(
                    f"`{argument}` must be one or more integers of at least {minimum}. "
                    f"Received: `{argument}={value!r}`"
                )


def check_choice(choices: Iterable[str], **values: Any) -> None:
    """Raises unless each hyper-parameter is one of `choices`."""
    choices = tuple(choices)
    for argument, value in values.items():
        if value not in choices:
            raise ValueError(
                f"`{argument}` must be one of {', '.join(map(repr, choices))}. "
                f"Received: `{argument}={value!r}`"
            )


def check_stages(**values: Any) -> None:
    """Raises unless all hyper-parameters have the same number of entries, one per stage."""
    if len({len(value) for value in values.values()}) != 1:
        received = ", ".join(f"`{argument}={value!r}`" for argument, value in values.items())
        raise ValueError(f"One entry per stage is needed in each. Received: {received}")


def check_hidden_widths(*, mlp_ratio: float, dims: Sequence[int]) -> None:
    """Raises unless `mlp_ratio` times each width is at least 1."""
    if mlp_ratio * min(dims) < 1:
        raise ValueError(
            "`mlp_ratio` must give each channel MLP a hidden width of at least 1. "
            f"Received: `mlp_ratio={mlp_ratio!r}`, `dims={dims!r}`"
        )


def check_common(pooling, classes, drop_path_rate, dropout_rate) -> None:
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "The models take `(B, H, W, C)`. Call "
            "`keras.config.set_image_data_format('channels_last')` first. "
            f"Received: `image_data_format={keras.config.image_data_format()!r}`"
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: `pooling={pooling!r}`")
    if classes is not None:
        check_integers(classes=classes)
    for argument, rate in (("drop_path_rate", drop_path_rate), ("dropout_rate", dropout_rate)):
        if not 0 <= rate < 1:
            raise ValueError(f"`{argument}` must be in [0, 1). Received: `{argument}={rate!r}`")


def resolve_shape(input_tensor, input_shape, default) -> tuple[int | None, int | None, int]:
    """The `(H, W, C)` to build on: that of `input_tensor`, `input_shape` or `default`."""
    if input_tensor is not None:
        if not keras.utils.is_keras_tensor(input_tensor) or len(input_tensor.shape) != 4:
            raise ValueError(
                "`input_tensor` must be a Keras tensor `(B, H, W, C)`. "
                f"Received: `input_tensor={input_tensor}`"
            )
        shape = tuple(input_tensor.shape[1:])
        if input_shape is not None and tuple(input_shape) != shape:
            raise ValueError(
                f"`input_shape` must be that of `input_tensor`, {shape}, or None. "
                f"Received: `input_shape={input_shape}`"
            )
    else:
        shape = tuple(input_shape or default)
    if len(shape) != 3 or shape[-1] is None:
        raise ValueError(
            "`input_shape` must be `(height, width, channels)` with known channels. "
            f"Received: `input_shape={shape}`"
        )
    check_integers(input_shape=tuple(side for side in shape if side is not None))
    return shape
