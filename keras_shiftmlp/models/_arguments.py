"""The checks that come before anything is built or downloaded."""

import keras

from keras_shiftmlp.layers.image_preprocessing import PRESETS


def check_positive(**values):
    """Raises where a hyper-parameter, or an entry of one, is not an integer of at least 1."""
    for argument, value in values.items():
        for item in keras.tree.flatten(value):
            if isinstance(item, bool) or not hasattr(item, "__index__") or item < 1:
                raise ValueError(
                    f"`{argument}` must be one or more integers of at least 1. "
                    f"Received: `{argument}={value!r}`"
                )


def check_stages(**values):
    """Raises where the hyper-parameters don't all have one entry per stage."""
    if len({len(value) for value in values.values()}) != 1:
        received = ", ".join(f"`{argument}={value!r}`" for argument, value in values.items())
        raise ValueError(f"One entry per stage is needed in each. Received: {received}")


def check_common(pooling, classes, drop_path_rate, dropout_rate):
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "The models take `(B, H, W, C)`. Call "
            "`keras.config.set_image_data_format('channels_last')` first. "
            f"Received: `image_data_format={keras.config.image_data_format()!r}`"
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: `pooling={pooling!r}`")
    if classes is not None:
        check_positive(classes=classes)
    for argument, rate in (("drop_path_rate", drop_path_rate), ("dropout_rate", dropout_rate)):
        if not 0 <= rate < 1:
            raise ValueError(f"`{argument}` must be in [0, 1). Received: `{argument}={rate!r}`")


def resolve_shape(model, family, image_size, include_top, input_tensor, input_shape):
    """The `(H, W, C)` to build on, of the tensor if there is one."""
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
    elif input_shape is not None:
        shape = tuple(input_shape)
    else:
        side = image_size if include_top or not family.any_size else None
        shape = (side, side, 3)
    if len(shape) != 3 or shape[-1] is None:
        raise ValueError(
            "`input_shape` must be `(height, width, channels)` with known channels. "
            f"Received: `input_shape={shape}`"
        )
    check_positive(input_shape=tuple(side for side in shape if side is not None))
    if not family.any_size and None in shape:
        raise ValueError(
            f"{model} needs a known height and width: its token-mixing kernels have one row per "
            f"patch, so they belong to one image size. Received: `input_shape={shape}`"
        )
    return shape


def checkpoint_gelu(hyperparameters, checkpoint):
    """The GELU flavour of the checkpoint, where the family leaves it open."""
    gelu = checkpoint.hyperparameters.get("gelu")
    if "gelu" not in hyperparameters or gelu is None:
        return {}
    if hyperparameters["gelu"] not in (None, gelu):
        raise ValueError(
            f"These weights were trained with the {gelu!r} flavour of GELU. "
            f"Received: `gelu={hyperparameters['gelu']!r}`, `weights={checkpoint.received!r}`"
        )
    return {"gelu": gelu}


def named_preset(name):
    if name not in PRESETS:
        raise ValueError(
            f"`preprocessing` must be one of {', '.join(map(repr, PRESETS))}. "
            f"Received: `preprocessing={name!r}`"
        )
    return PRESETS[name]
