"""What the docstrings of all constructors share."""

COMMON_ARGS = """\
include_top: Whether the model ends in pooling and the `predictions` layer. Without it the
    model ends in the last feature map `(B, H', W', C)`, normalised where the network
    normalises before it pools.
weights: `None` for a random start, a tag such as `"imagenet"` (see
    `keras_shiftmlp.list_weights`), or the path, URL or `hf://owner/repo/file` of a
    `.weights.h5` file saved from this model or of the authors' own file.
input_tensor: Keras tensor `(B, H, W, C)` to build on, instead of a new input.
input_shape: `(H, W, C)`. {input_shape}
pooling: Without the top: `None` for the map, `"avg"` for the vector that the classifier
    would see, `"max"` for the maximum over the positions.
classes: Number of classes. `None` means the checkpoint's own, 1000 without one. With weights
    and another number, the body is loaded and the head starts fresh.
classifier_activation: Activation of `predictions`, `None` for logits.
include_preprocessing: Whether the model takes pixels in `[0, 255]`, float or uint8, and
    normalises them itself. Otherwise see `keras_shiftmlp.preprocess_input`.
name: Name of the model; weights are never looked up by it.
drop_path_rate: Stochastic depth of the last block, in `[0, 1)`; it grows linearly from 0.
dropout_rate: Dropout before the classifier, in `[0, 1)`.
dtype: Dtype policy of the layers, such as `"mixed_bfloat16"`; the global one by default.
    `predictions` always computes in at least float32.
preprocessing: Name of a published preprocessing, `"imagenet_mean_std"`, `"minus_one_to_one"` or
    `"zero_to_one"`, for weights that are not those of a tag. `None` means the checkpoint's,
    or the family's where nothing says.
"""
RETURNS = """
Returns:
    An `ImageModel`.

Raises:
    ValueError: For arguments that don't fit, before anything is built or downloaded.
"""
FREE_SIZE = (
    "`None` means `({size}, {size}, 3)` with the top and `(None, None, 3)`\n"
    "    without. Any size works; `None` leaves a side open."
)
FIXED_SIZE = (
    "`None` means `({size}, {size}, 3)`. Height and width must be\n"
    "    known: the token-mixing kernels have one row per patch."
)


def common_args(input_doc: str, image_size: int) -> str:
    """The common part of a constructor's docstring."""
    args = COMMON_ARGS.format(input_shape=input_doc.format(size=image_size))
    return "".join(f"    {line}\n" for line in args.splitlines()) + RETURNS
