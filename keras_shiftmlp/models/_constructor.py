"""The contract that all constructors share: arguments, checks, input, head and weights."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras

from keras_shiftmlp.checkpoints import find
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers import names
from keras_shiftmlp.layers.image_preprocessing import PRESETS, ImagePreprocessing, named_preset
from keras_shiftmlp.models._arguments import check_common, resolve_shape
from keras_shiftmlp.models._signature import default_name, docstring, parameters, signature
from keras_shiftmlp.models.image_model import ImageModel

# Stands for the constructor's own default of `weights`.
DEFAULT_WEIGHTS: Any = "the constructor's default"
CONSTRUCTORS: dict[str, "Constructor"] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Constructor:
    """A family, or one of its named sizes, as a function that returns an `ImageModel`.

    Args:
        name: The public name.
        network: Takes the family's hyper-parameters, checks them and returns the function
            `features(x, drop_path_rate)` from pixels to the last feature map.
        preprocessing: Name of the default in `image_preprocessing.PRESETS`.
        config: Hyper-parameters that differ from the defaults of `network`.
        image_size: Default side of the input in pixels.
        weights: Default of `weights`.
        family: Name of the general constructor.
        paper: What the paper reports of this size: `params`, `macs` and `top1`, as text.
        any_size: Whether height and width may be unknown.
        check_shape: Takes the shape of the image and the hyper-parameters, and raises if the
            network does not take such an image.
        pooled_norm_epsilon: Epsilon of a LayerNormalization between pooling and classifier;
            `None` for families without one.
        head_initializer: Initializer of the classifier's kernel.
    """

    name: str
    network: Callable[..., Callable[[Any, float], Any]]
    preprocessing: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    image_size: int = 224
    weights: str | None = None
    family: str = ""
    paper: Mapping[str, str] | None = None
    any_size: bool = True
    check_shape: Callable[..., None] | None = None
    pooled_norm_epsilon: float | None = None
    head_initializer: str | dict[str, Any] = "zeros"

    def __post_init__(self):
        defaults = {x.name: x.default for x in parameters(self.network)}
        shown = signature(self)
        values = {
            "config": {**defaults, **self.config},
            "family": self.family or self.name,
            "__name__": self.name,
            "__qualname__": self.name,
            "__module__": self.network.__module__,
            "__doc__": docstring(self, shown),
            "__signature__": shown,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)  # the dataclass is frozen
        CONSTRUCTORS[self.name] = self

    def __repr__(self) -> str:
        return f"<constructor keras_shiftmlp.{self.name}>"

    @property
    def is_size(self) -> bool:
        """Whether this is a named size, not a family's general constructor."""
        return self.name != self.family

    def size(
        self,
        name: str,
        config: Mapping[str, Any],
        paper: Mapping[str, str] | None = None,
        image_size: int = 224,
        weights: str = "imagenet",
    ) -> "Constructor":
        """The constructor of one named size, with the hyper-parameters of `config`."""
        return dataclasses.replace(
            self, name=name, config=config, paper=paper, image_size=image_size, weights=weights
        )

    def __call__(
        self,
        include_top: bool = True,
        weights: str | os.PathLike[str] | None = DEFAULT_WEIGHTS,
        input_tensor: Any = None,
        input_shape: tuple[int | None, int | None, int] | None = None,
        pooling: Literal["avg", "max"] | None = None,
        classes: int | None = None,
        classifier_activation: str | Callable[..., Any] | None = "softmax",
        include_preprocessing: bool = True,
        name: str | None = None,
        *,
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        dtype: Any = None,
        preprocessing: str | None = None,
        **hyperparameters: Any,
    ) -> ImageModel:
        """Checks every argument, builds the network and loads its weights."""
        if weights is DEFAULT_WEIGHTS:
            weights = self.weights
        for argument in hyperparameters:
            if argument not in self.config:
                raise TypeError(f"{self.name}() got an unexpected keyword argument {argument!r}")
        hyperparameters = {**self.config, **hyperparameters}
        features = self.network(**hyperparameters)
        check_common(pooling, classes, drop_path_rate, dropout_rate)
        side = self.image_size if include_top or not self.any_size else None
        shape = resolve_shape(input_tensor, input_shape, default=(side, side, 3))
        if not self.any_size and None in shape:
            raise ValueError(
                f"{self.name} needs a known height and width: its token-mixing kernels have one "
                f"row per patch, so they belong to one image size. Received: `input_shape={shape}`"
            )
        if self.check_shape is not None:
            self.check_shape(shape, **hyperparameters)
        activation = keras.activations.get(classifier_activation)
        wanted = {} if preprocessing is None else named_preset(preprocessing)
        facts = {**PRESETS[self.preprocessing], **wanted}
        if shape[-1] != 3:
            if preprocessing is not None:
                raise ValueError(
                    "`preprocessing` must be None for images that are not RGB. "
                    f"Received: `preprocessing={preprocessing!r}`, `input_shape={shape}`"
                )
            facts |= {key: (0.5,) * shape[-1] for key in ("mean", "std")}
        facts["image_size"] = self.image_size
        if None not in shape and shape[0] == shape[1]:
            facts["image_size"] = shape[0]

        checkpoint = find.find(self.name, self.family, weights)
        if checkpoint is not None:
            required = self._check_checkpoint(checkpoint, hyperparameters, shape)
            features = self.network(**{**hyperparameters, **required})
            if include_top:
                classes = checkpoint.resolve_classes(classes)
                if classes == checkpoint.classes:
                    facts["class_names"] = checkpoint.class_names
                    if classifier_activation not in (None, "softmax"):
                        raise ValueError(
                            "A pretrained head needs `classifier_activation` 'softmax' or None. "
                            f"Received: `classifier_activation={classifier_activation!r}`"
                        )
            own = checkpoint.preprocessing or {}
            facts |= {**(PRESETS[own] if isinstance(own, str) else own), **wanted}

        with _dtype_policy(dtype):
            image = keras.Input(shape, name="image") if input_tensor is None else input_tensor
            x = ImagePreprocessing(
                **facts, normalize=include_preprocessing, name=names.PREPROCESSING
            )(image)
            # The head always gets random weights: another number of classes is not loaded.
            with contextlib.nullcontext() if checkpoint is None else zero_start():
                x = features(x, drop_path_rate)
            grid = x.shape[1:3]
            if include_top or pooling:
                x = self._pooled(x, "avg" if include_top else pooling)
            if include_top:
                x = self._classified(x, classes or 1000, activation, dropout_rate)
        inputs = image
        if input_tensor is not None:
            inputs = keras.utils.get_source_inputs(input_tensor)
            inputs = inputs[0] if len(inputs) == 1 else inputs
        model = ImageModel(inputs, x, name=name or default_name(self))
        if checkpoint is not None:
            upstream = keras.Model(inputs, image).layers
            layers = [layer for layer in model.layers if layer not in upstream]
            checkpoint.load(layers, self.family, grid)
        return model

    def _check_checkpoint(self, checkpoint, hyperparameters, shape) -> dict[str, Any]:
        """Raises if the arguments don't fit the checkpoint; else what it requires of them."""
        received = f"`weights={checkpoint.received!r}`"
        if shape[-1] != 3 and checkpoint.entry:
            raise ValueError(
                "Pretrained weights need images of three channels. "
                f"Received: {received}, `input_shape={shape}`"
            )
        required = {k: v for k, v in checkpoint.hyperparameters.items() if k in self.config}
        # A tag belongs to the size as it is published; a file says by its shapes what it fits.
        is_published = checkpoint.entry and self.is_size
        expected = {**self.config, **required} if is_published else required
        for argument, value in expected.items():
            given = hyperparameters[argument]
            if not (_same(given, value) or _same(given, self.config[argument])):
                raise ValueError(
                    f"These weights belong to `{argument}={value!r}`. "
                    f"Received: `{argument}={given!r}`, {received}"
                )
        return required

    def _pooled(self, x, pooling):
        """`(B, H, W, C) -> (B, C)`, normalised if the family normalises after pooling."""
        layers = keras.layers
        pool = layers.GlobalAveragePooling2D if pooling == "avg" else layers.GlobalMaxPooling2D
        x = pool(data_format="channels_last", name="pool")(x)
        if self.pooled_norm_epsilon is None:
            return x
        return layers.LayerNormalization(epsilon=self.pooled_norm_epsilon, name=names.POOLED_NORM)(
            x
        )

    def _classified(self, x, classes, activation, dropout_rate):
        """`(B, C) -> (B, classes)`, in at least float32."""
        if dropout_rate:
            # With a noise shape, Keras uses the layer's own seed on PyTorch too. Only then does a
            # resumed run draw the masks of an uninterrupted one.
            x = keras.layers.Dropout(dropout_rate, noise_shape=(None, None), name="dropout")(x)
        compute_dtype = keras.config.dtype_policy().compute_dtype
        return keras.layers.Dense(
            classes,
            activation=activation,
            kernel_initializer=self.head_initializer,
            dtype=keras.backend.result_type(compute_dtype, "float32"),
            name=names.HEAD,
        )(x)


def _same(one, other) -> bool:
    """Whether two hyper-parameters are equal, lists and tuples alike."""
    return keras.tree.flatten(one) == keras.tree.flatten(other)


@contextlib.contextmanager
def _dtype_policy(dtype):
    before = keras.config.dtype_policy()
    try:
        if dtype is not None:
            keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_dtype_policy(before)
