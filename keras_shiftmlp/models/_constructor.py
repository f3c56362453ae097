"""The contract that all constructors share: arguments, checks, input, head and weights.

A family writes one function from pixels to feature maps and decorates it with `constructor`;
`variant` then names its published sizes. Every argument list comes from `image_model` below.
"""

import contextlib
import dataclasses
import functools
import inspect
import os
import re
from collections.abc import Callable

import keras

from keras_shiftmlp import checkpoints
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers.image_preprocessing import PRESETS, ImagePreprocessing
from keras_shiftmlp.models._arguments import (
    check_common,
    checkpoint_gelu,
    named_preset,
    resolve_shape,
)
from keras_shiftmlp.models._registry import register
from keras_shiftmlp.models.docstrings import FIXED_SIZE, FREE_SIZE, common_args
from keras_shiftmlp.models.image_model import ImageModel


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
    check_common(pooling, classes, drop_path_rate, dropout_rate)
    shape = resolve_shape(model, family, image_size, include_top, input_tensor, input_shape)
    if include_preprocessing and shape[-1] != 3:
        raise ValueError(
            "The preprocessing inside the model is that of RGB images. Pass "
            "`include_preprocessing=False` for another number of channels. "
            f"Received: `input_shape={shape}`"
        )
    activation = keras.activations.get(classifier_activation)
    facts = {**PRESETS[family.preprocessing], "image_size": image_size}
    wanted = {} if preprocessing is None else named_preset(preprocessing)
    checkpoint = checkpoints.find(model, family.features.__name__, weights)
    if include_top and checkpoint is not None:
        classes = checkpoint.resolve_classes(classes)
        if classes == checkpoint.classes and classifier_activation not in (None, "softmax"):
            raise ValueError(
                "A pretrained head needs `classifier_activation` 'softmax' or None. "
                f"Received: `classifier_activation={classifier_activation!r}`"
            )

    if checkpoint is not None:
        hyperparameters = {**hyperparameters, **checkpoint_gelu(hyperparameters, checkpoint)}
        if isinstance(checkpoint.preprocessing, str):
            facts.update(PRESETS[checkpoint.preprocessing])
        elif checkpoint.preprocessing:
            facts.update(checkpoint.preprocessing)
        if include_top and classes == checkpoint.classes:
            facts["class_names"] = checkpoint.class_names
    facts.update(wanted)

    with _dtype_policy(dtype):
        image = keras.Input(shape, name="image") if input_tensor is None else input_tensor
        pixels = ImagePreprocessing(**facts, normalize=include_preprocessing, name="preprocessing")(
            image
        )
        # The head is drawn in any case: another number of classes leaves it as it starts.
        with zero_start() if checkpoint is not None else contextlib.nullcontext():
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
                # With a shape, Keras draws from the layer's own seed on PyTorch too, not from the
                # process's: only so does a resumed run see the masks of an unbroken one.
                x = keras.layers.Dropout(dropout_rate, noise_shape=(None, None), name="dropout")(x)
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
    inputs = image
    if input_tensor is not None:
        inputs = keras.utils.get_source_inputs(input_tensor)
        inputs = inputs[0] if len(inputs) == 1 else inputs
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
        common = common_args(general.input_doc, image_size)
        general.__doc__ = inspect.cleandoc(features.__doc__).replace("{common}", common)
        return register(general)

    return decorate


def variant(
    name: str, general: Callable, config: dict, image_size: int = 224, weights: str = "imagenet"
) -> Callable:
    """A constructor for one size: `general` with the hyper-parameters of `config`."""
    family = general.__name__
    default_name = f"{family.lower()}_{name.removeprefix(family).lower()}"

    def published(*args, **kwargs):
        arguments = _bind(published, args, kwargs)
        return general.build(name, image_size, {**general.hyperparameters, **config, **arguments})

    published.config = {**general.hyperparameters, **config}
    published.general, published.family, published.image_size = general, general.family, image_size
    published.__name__ = published.__qualname__ = name
    published.__module__ = general.__module__
    published.__signature__ = _signature([], default_name, weights=weights)
    sizes = ", ".join(f"{key}={value!r}" for key, value in config.items())
    reference = re.search(r"^Reference:.*?(?=\n\n|\Z)", general.__doc__, re.M | re.S)
    common = common_args(general.input_doc, image_size)
    published.__doc__ = (
        f"`{family}` with `{sizes}`.\n\nArgs:\n{common}\n{reference.group() if reference else ''}\n"
    )
    return register(published)


def pyramid_level(x, stride: int):
    """Marks a feature map as level `P<log2(stride)>`; other strides have no level."""
    if stride & (stride - 1):
        return x
    return keras.layers.Identity(name=f"P{stride.bit_length() - 1}")(x)


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


@contextlib.contextmanager
def _dtype_policy(dtype):
    before = keras.config.dtype_policy()
    try:
        if dtype is not None:
            keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_dtype_policy(before)
