"""The contract that all constructors share: arguments, checks, input, head and weights.

A family writes one function from pixels to feature maps and decorates it with `constructor`;
`variant` then names its published sizes. Every argument list comes from `image_model` below.
"""

import contextlib
import dataclasses
import difflib
import fnmatch
import functools
import inspect
import os
import re
from collections.abc import Callable

import keras

from keras_shiftmlp import checkpoints
from keras_shiftmlp.layers.image_preprocessing import PRESETS, ImagePreprocessing
from keras_shiftmlp.models.image_model import ImageModel

CONSTRUCTORS: dict[str, Callable[..., ImageModel]] = {}

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


@dataclasses.dataclass(frozen=True)
class Family:
    """What `constructor` is told about a family."""

    features: Callable
    preprocessing: str
    any_size: bool
    pooled_norm_epsilon: float | None
    head_initializer: str | dict


def image_model(
    model: str,
    family: Family,
    image_size: int,
    hyperparameters: dict,
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor=None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | Callable | None = "softmax",
    include_preprocessing: bool = True,
    name: str | None = None,
    *,
    drop_path_rate: float = 0.0,
    dropout_rate: float = 0.0,
    dtype=None,
    preprocessing: str | None = None,
) -> ImageModel:
    """Checks every argument, builds the network and loads its weights."""
    _check_arguments(pooling, classes, drop_path_rate, dropout_rate)
    shape = _resolve_shape(model, family, image_size, include_top, input_tensor, input_shape)
    if include_preprocessing and shape[-1] != 3:
        raise ValueError(
            "The preprocessing inside the model is that of RGB images. Pass "
            "`include_preprocessing=False` for another number of channels. "
            f"Received: `input_shape={shape}`"
        )
    activation = keras.activations.get(classifier_activation)
    facts = {**PRESETS[family.preprocessing], "image_size": image_size}
    checkpoint = checkpoints.find(model, family.features.__name__, weights)
    if include_top and checkpoint is not None:
        classes = checkpoint.resolve_classes(classes)
        if classes == checkpoint.classes and classifier_activation not in (None, "softmax"):
            raise ValueError(
                "A pretrained head needs `classifier_activation` 'softmax' or None. "
                f"Received: `classifier_activation={classifier_activation!r}`"
            )

    if checkpoint is not None:
        hyperparameters = {**hyperparameters, **_checkpoint_gelu(hyperparameters, checkpoint)}
        if isinstance(checkpoint.preprocessing, str):
            facts.update(PRESETS[checkpoint.preprocessing])
        elif checkpoint.preprocessing:
            facts.update(checkpoint.preprocessing)
        if include_top and classes == checkpoint.classes:
            facts["class_names"] = checkpoint.class_names
    if preprocessing is not None:
        facts.update(_named_preset(preprocessing))

    with _dtype_policy(dtype):
        image = keras.Input(shape, name="image") if input_tensor is None else input_tensor
        pixels = ImagePreprocessing(**facts, normalize=include_preprocessing, name="preprocessing")(
            image
        )
        x = family.features(pixels, drop_path_rate, **hyperparameters)
        if include_top or pooling:
            pool = {
                "avg": keras.layers.GlobalAveragePooling2D,
                "max": keras.layers.GlobalMaxPooling2D,
            }["avg" if include_top else pooling]
            # (B, H, W, C) -> (B, C)
            x = pool(data_format="channels_last", name="pool")(x)
            if family.pooled_norm_epsilon is not None:
                x = keras.layers.LayerNormalization(
                    epsilon=family.pooled_norm_epsilon, name="pooled_norm"
                )(x)
        if include_top:
            if dropout_rate:
                x = keras.layers.Dropout(dropout_rate, name="dropout")(x)
            # (B, C) -> (B, classes)
            x = keras.layers.Dense(
                1000 if classes is None else classes,
                activation=activation,
                kernel_initializer=family.head_initializer,
                dtype=keras.backend.result_type(
                    keras.config.dtype_policy().compute_dtype, "float32"
                ),
                name="predictions",
            )(x)
    inputs = image if input_tensor is None else keras.utils.get_source_inputs(input_tensor)[0]
    result = ImageModel(inputs, x, name=name or model.lower())
    if checkpoint is not None:
        upstream = keras.Model(inputs, image).layers
        layers = [layer for layer in result.layers if layer not in upstream]
        checkpoint.load(layers, family.features.__name__)
    return result


def constructor(
    *,
    preprocessing: str,
    image_size: int = 224,
    any_size: bool = True,
    pooled_norm_epsilon: float | None = None,
    head_initializer: str | dict = "zeros",
):
    """Turns `features(x, drop_path_rate, <hyper-parameters>)` into a general constructor.

    Args:
        preprocessing: Name of the family's default in `image_preprocessing.PRESETS`.
        image_size: Default side of the input in pixels.
        any_size: Whether height and width may be unknown.
        pooled_norm_epsilon: Epsilon of a LayerNormalization between pooling and classifier;
            `None` for families that have none there.
        head_initializer: Initializer of the classifier's kernel.
    """

    def decorate(features):
        family = Family(features, preprocessing, any_size, pooled_norm_epsilon, head_initializer)
        own = list(inspect.signature(features).parameters.values())[2:]
        signature = _signature(own, features.__name__.lower(), weights=None)

        def build(model, size, arguments):
            hyper = {parameter.name: arguments.pop(parameter.name) for parameter in own}
            return image_model(model, family, size, hyper, **arguments)

        @functools.wraps(features)
        def general(*args, **kwargs):
            arguments = _bind(general, args, kwargs)
            return build(features.__name__, image_size, arguments)

        general.build, general.family, general.image_size = build, family, image_size
        general.hyperparameters = {parameter.name: parameter.default for parameter in own}
        general.input_doc = FREE_SIZE if any_size else FIXED_SIZE
        general.__signature__ = signature
        common = _common_args(general.input_doc, image_size)
        general.__doc__ = inspect.cleandoc(features.__doc__).replace("{common}", common)
        return _register(general)

    return decorate


def variant(name: str, general: Callable, config: dict, image_size: int = 224) -> Callable:
    """A constructor for one published size: `general` with the hyper-parameters of `config`."""
    family = general.__name__
    default_name = f"{family.lower()}_{name.removeprefix(family).lower()}"

    def published(*args, **kwargs):
        arguments = _bind(published, args, kwargs)
        return general.build(name, image_size, {**general.hyperparameters, **config, **arguments})

    published.config = {**general.hyperparameters, **config}
    published.general, published.family, published.image_size = general, general.family, image_size
    published.__name__ = published.__qualname__ = name
    published.__module__ = general.__module__
    published.__signature__ = _signature([], default_name, weights="imagenet")
    sizes = ", ".join(f"{key}={value!r}" for key, value in config.items())
    reference = re.search(r"^Reference:.*?(?=\n\n|\Z)", general.__doc__, re.M | re.S)
    common = _common_args(general.input_doc, image_size)
    published.__doc__ = (
        f"`{family}` with `{sizes}`.\n\nArgs:\n{common}\n{reference.group() if reference else ''}\n"
    )
    return _register(published)


def list_models(pattern: str = "*") -> list[str]:
    """Names of the published sizes that match `pattern`, with `*` and `?` as in a shell.

    Example:

    >>> list_models("s2mlpv2*")
    ['S2MLPv2Medium', 'S2MLPv2Small', 'S2MLPv2Small14']
    """
    names = [name for name, function in CONSTRUCTORS.items() if hasattr(function, "general")]
    return sorted(name for name in names if fnmatch.fnmatch(name.lower(), pattern.lower()))


def get_model(name: str, /, **kwargs) -> ImageModel:
    """Builds a model by its constructor's name; case, `-`, `_` and spaces are ignored.

    Args:
        name: Such as `"S2MLPv2Small"` or `"s2_mlp_v2_small"`.
        **kwargs: The constructor's arguments.

    Raises:
        ValueError: For an unknown name, with the nearest ones.

    Example:

    >>> get_model("ms-mlp", weights=None, dims=(20, 40), depths=(1, 1),
    ...           mix_sizes=((1, 1, 3, 5, 7),) * 2, classes=4).output_shape
    (None, 4)
    """
    return find_constructor(name)(**kwargs)


def find_constructor(name: str) -> Callable[..., ImageModel]:
    """The constructor that `get_model` would call."""
    known = {re.sub(r"[-_\s]", "", key).lower(): key for key in CONSTRUCTORS}
    wanted = re.sub(r"[-_\s]", "", str(name)).lower()
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        hint = ", ".join(known[key] for key in near) or ", ".join(CONSTRUCTORS)
        raise ValueError(f"No such model; the nearest are: {hint}. Received: `name={name!r}`")
    return CONSTRUCTORS[known[wanted]]


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


def pyramid_level(x, stride: int):
    """Marks a feature map as level `P<log2(stride)>`; other strides have no level."""
    if stride & (stride - 1):
        return x
    return keras.layers.Identity(name=f"P{stride.bit_length() - 1}")(x)


def _register(function):
    CONSTRUCTORS[function.__name__] = function
    return function


def _common_args(input_doc, image_size):
    args = COMMON_ARGS.format(input_shape=input_doc.format(size=image_size))
    return "".join(f"    {line}\n" for line in args.splitlines()) + RETURNS


def _signature(own, default_name, weights):
    defaults = {"name": default_name, "weights": weights}
    common = [
        parameter.replace(default=defaults.get(parameter.name, parameter.default))
        for parameter in list(inspect.signature(image_model).parameters.values())[4:]
    ]
    return inspect.Signature([*own, *common], return_annotation=ImageModel)


def _bind(function, args, kwargs):
    try:
        bound = function.__signature__.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{function.__name__}() {error}") from None
    bound.apply_defaults()
    return bound.arguments


def _checkpoint_gelu(hyperparameters, checkpoint):
    """The GELU flavour of the checkpoint, where the family leaves it open."""
    if "gelu" not in hyperparameters or checkpoint.gelu is None:
        return {}
    if hyperparameters["gelu"] not in (None, checkpoint.gelu):
        raise ValueError(
            f"These weights were trained with the {checkpoint.gelu!r} flavour of GELU. "
            f"Received: `gelu={hyperparameters['gelu']!r}`, `weights={checkpoint.received!r}`"
        )
    return {"gelu": checkpoint.gelu}


def _named_preset(name):
    if name not in PRESETS:
        raise ValueError(
            f"`preprocessing` must be one of {', '.join(map(repr, PRESETS))}. "
            f"Received: `preprocessing={name!r}`"
        )
    return PRESETS[name]


@contextlib.contextmanager
def _dtype_policy(dtype):
    before = keras.config.dtype_policy()
    try:
        if dtype is not None:
            keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check_arguments(pooling, classes, drop_path_rate, dropout_rate):
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


def _resolve_shape(model, family, image_size, include_top, input_tensor, input_shape):
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
