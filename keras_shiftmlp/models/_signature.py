"""What `help()` and `inspect.signature` show of a constructor."""

import functools
import inspect
import textwrap
from collections.abc import Callable

from keras_shiftmlp.models.image_model import ImageModel

COMMON_ARGUMENTS = """\
    include_top: Whether the model ends in pooling and the `predictions` layer. Without it the
        output is the last feature map `(B, H', W', C)`, after the norm before pooling if the
        network has one.
    weights: `None` for random weights, a tag such as `"imagenet"` (see
        `keras_shiftmlp.list_weights`), or the path, URL or `hf://owner/repo/file` of a weight
        file saved from this model or published by the authors.
    input_tensor: Keras tensor `(B, H, W, C)` to build on, instead of a new input.
    input_shape: `(H, W, C)`. {input_shape}
    pooling: Without the top: `None` for the map, `"avg"` for the vector that the classifier
        would receive, `"max"` for the maximum over the positions.
    classes: Number of classes. `None` means the checkpoint's own, or 1000 without a checkpoint.
        With another number than the checkpoint's, the body is loaded and the head is random.
    classifier_activation: Activation of `predictions`, `None` for logits.
    include_preprocessing: Whether the model takes pixels in `[0, 255]`, float or uint8, and
        normalises them itself. Otherwise see `keras_shiftmlp.preprocess_input`.
    name: Name of the model; weights are never looked up by it.
    drop_path_rate: Stochastic depth of the last block, in `[0, 1)`. It grows linearly from 0 over
        the blocks, or is the same in all blocks where the reference code does so.
    dropout_rate: Dropout before the classifier, in `[0, 1)`.
    dtype: Dtype policy of the layers, such as `"mixed_bfloat16"`; the global one by default.
        `predictions` always computes in at least float32.
    preprocessing: `"imagenet_mean_std"`, `"minus_one_to_one"` or `"zero_to_one"`. `None`: the
        checkpoint's preprocessing, or the family's default. Images that are not RGB are scaled
        to [-1, 1].

Returns:
    An `ImageModel`.

Raises:
    ValueError: For arguments that don't fit, before anything is built or downloaded.
"""
FREE_SIZE = (
    "`None` means `({size}, {size}, 3)` with the top and\n"
    "        `(None, None, 3)` without. Any size works; a side of `None` stays open."
)
FIXED_SIZE = (
    "`None` means `({size}, {size}, 3)`. Height and width must be\n"
    "        known: the token-mixing kernels have one row per patch."
)


def default_name(constructor) -> str:
    """`"s2mlpv2_small"` for `S2MLPv2Small`."""
    size = constructor.name.removeprefix(constructor.family)
    return "_".join(filter(None, (constructor.family.lower(), size.lower())))


@functools.cache
def parameters(function: Callable) -> tuple[inspect.Parameter, ...]:
    """The parameters of a function; all sizes of a family share one."""
    return tuple(inspect.signature(function).parameters.values())


def signature(constructor) -> inspect.Signature:
    """The common arguments with the constructor's defaults, then the hyper-parameters."""
    common = parameters(type(constructor).__call__)[1:-1]
    defaults = {"name": default_name(constructor), "weights": constructor.weights}
    common = [p.replace(default=defaults.get(p.name, p.default)) for p in common]
    own = [
        p.replace(kind=p.KEYWORD_ONLY, default=constructor.config.get(p.name, p.default))
        for p in parameters(constructor.network)
    ]
    return inspect.Signature([*common, *own], return_annotation=ImageModel)


def docstring(constructor, signature: inspect.Signature) -> str:
    """The network's docstring with the common arguments, under the size's first line."""
    own, _, rest = inspect.cleandoc(constructor.network.__doc__ or "").partition("\n\nReference:")
    if constructor.family and constructor.is_size:
        config = ", ".join(f"{key}={value!r}" for key, value in constructor.config.items())
        _, _, arguments = own.partition("\n\n")
        own = f"`{constructor.family}` with `{config}`.\n\n{arguments}"
        rest = rest.partition("\n\nExample:")[0]
    size = FREE_SIZE if constructor.any_size else FIXED_SIZE
    common = COMMON_ARGUMENTS.format(input_shape=size.format(size=constructor.image_size))
    text = f"{own}\n{common}\nDefaults:\n{_defaults(signature)}\n"
    return f"{text}\nReference:{rest}" if rest else text


def _defaults(signature) -> str:
    """All arguments with their defaults. `help()` cuts the signature of an object."""
    text = ", ".join(f"{x.name}={x.default!r}" for x in signature.parameters.values())
    indent = "    "
    return textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=indent)
