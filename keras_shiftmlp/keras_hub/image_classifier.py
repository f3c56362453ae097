"""KerasHub's image classifier on a backbone of ours."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub

from keras_shiftmlp.keras_hub.backbone import Backbone
from keras_shiftmlp.keras_hub.image_converter import ImageClassifierPreprocessor
from keras_shiftmlp.keras_hub.presets import PRESETS, build, checkpoint
from keras_shiftmlp.layers import names
from keras_shiftmlp.models import ImageModel


@keras.saving.register_keras_serializable(package="keras_shiftmlp", name="HubImageClassifier")
class ImageClassifier(keras_hub.models.ImageClassifier):
    """KerasHub's classifier on a `Backbone`: pooling, dropout and a dense layer.

    `from_preset` returns a checkpoint with its own classes, or with `num_classes` a fresh dense
    layer. `from_model` makes a classifier of any model of ours. Both prepare photos of any size.

    Args:
        backbone: The backbone.
        num_classes: Number of classes.
        preprocessor: Prepares the photos, such as
            `ImageClassifierPreprocessor(backbone.image_converter())`. With `None` the
            classifier neither resizes nor crops images.
        pooling: `"avg"` or `"max"`.
        activation: Activation of the dense layer; `None` returns logits.
        dropout: Dropout before the dense layer, in `[0, 1)`.
        head_dtype: Dtype policy of the head; `None` means that of the backbone.
        pooled_norm_epsilon: Epsilon of a LayerNormalization after pooling, which MS-MLP has;
            `None` for none.
        class_names: One name per class, for `keras_shiftmlp.decode_predictions`.
        **kwargs: `name` and `compile`.

    Raises:
        ValueError: If `pooling` is something else, or `class_names` does not name each class.

    Example:

    >>> import numpy as np
    >>> classifier = ImageClassifier.from_preset("mixer_nano_cifar10")
    >>> classifier.predict(np.zeros((2, 60, 80, 3), "uint8"), verbose=0).shape
    (2, 10)
    >>> classifier.class_names[:3]
    ('airplane', 'automobile', 'bird')
    """

    backbone_cls = Backbone
    preprocessor_cls = ImageClassifierPreprocessor
    presets = PRESETS

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        preprocessor: Any = None,
        pooling: str = "avg",
        activation: Any = None,
        dropout: float = 0.0,
        head_dtype: Any = None,
        pooled_norm_epsilon: float | None = None,
        class_names: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        if pooling not in ("avg", "max"):
            raise ValueError(f"`pooling` must be 'avg' or 'max'. Received: `pooling={pooling!r}`")
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(
                f"`class_names` must name each of the {num_classes} classes. "
                f"Received: `class_names={class_names}`"
            )
        head_dtype = head_dtype or backbone.dtype_policy
        layers = keras.layers
        pool = layers.GlobalAveragePooling2D if pooling == "avg" else layers.GlobalMaxPooling2D
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.pooler = pool(data_format="channels_last", dtype=head_dtype, name="pooler")
        x = self.pooler(backbone(backbone.input))
        if pooled_norm_epsilon is not None:
            self.pooled_norm = layers.LayerNormalization(
                epsilon=pooled_norm_epsilon, dtype=head_dtype, name=names.POOLED_NORM
            )
            x = self.pooled_norm(x)
        self.output_dropout = layers.Dropout(dropout, dtype=head_dtype, name="output_dropout")
        self.output_dense = layers.Dense(
            num_classes, activation=activation, dtype=head_dtype, name=names.HEAD
        )
        x = self.output_dense(self.output_dropout(x))
        # The constructor of the direct base class would build a network without the norm.
        keras_hub.models.Task.__init__(self, inputs=backbone.input, outputs=x, **kwargs)
        self.num_classes = num_classes
        self.activation = activation
        self.pooling = pooling
        self.dropout = dropout
        self.pooled_norm_epsilon = pooled_norm_epsilon
        self.class_names = None if class_names is None else tuple(class_names)

    def get_config(self):
        own = {key: getattr(self, key) for key in ("pooled_norm_epsilon", "class_names")}
        return {**super().get_config(), **own}

    @classmethod
    def from_model(
        cls, model: ImageModel, num_classes: int | None = None, **kwargs: Any
    ) -> "ImageClassifier":
        """A classifier that shares the layers of a model and prepares photos as it needs them.

        Args:
            model: A model with a classifier.
            num_classes: Number of classes of a fresh dense layer. `None` keeps the model's own.
            **kwargs: Arguments of the constructor that differ from those of the model.

        Raises:
            ValueError: If the model has no classifier.

        Example:

        >>> from keras_shiftmlp import MSMLPNano
        >>> ImageClassifier.from_model(MSMLPNano(), num_classes=3).output_shape
        (None, 3)
        """
        layers = {layer.name: layer for layer in model.layers}
        if not isinstance(model, ImageModel) or names.HEAD not in layers:
            raise ValueError(
                "`model` must be an ImageModel with a classifier, such as "
                f"`keras_shiftmlp.MSMLPTiny()`. Received: `model={model}`"
            )
        head, norm = layers[names.HEAD], layers.get(names.POOLED_NORM)
        backbone = Backbone(ImageModel(model.inputs[0], layers["pool"].input, name=model.name))
        arguments = dict(
            preprocessor=ImageClassifierPreprocessor(backbone.image_converter()),
            activation=keras.activations.serialize(head.activation),
            dropout=layers["dropout"].rate if "dropout" in layers else 0.0,
            pooled_norm_epsilon=None if norm is None else norm.epsilon,
            class_names=model.class_names if num_classes is None else None,
        )
        classifier = cls(backbone, num_classes or head.units, **{**arguments, **kwargs})
        if norm is not None:
            classifier.pooled_norm.set_weights(norm.get_weights())
        if num_classes is None:
            classifier.output_dense.set_weights(head.get_weights())
        return classifier

    @classmethod
    def from_preset(
        cls, preset: str, load_weights: bool = True, **kwargs: Any
    ) -> "ImageClassifier":
        """As in KerasHub; `preset` may also be a key of `presets`.

        The first use of a name downloads the authors' file and converts it.

        Args:
            preset: Key of `presets`, folder, or `hf://` or `kaggle://` address.
            load_weights: Whether to load the weights.
            **kwargs: Arguments of the constructor, such as `num_classes`, which makes a fresh dense
                layer; for a key also `image_shape`, which is `(H, W, C)`, and `dtype`.

        Raises:
            ValueError: If neither the checkpoint nor `num_classes` says how many classes there are.
        """
        if preset not in PRESETS:
            return super().from_preset(preset, load_weights, **kwargs)
        num_classes = kwargs.pop("num_classes", None)
        classes = checkpoint(preset)["classes"] or num_classes
        if classes is None:
            raise ValueError(
                "The checkpoint has no classifier, so `num_classes` must say how many classes "
                f"there are. Received: `preset={preset!r}`, `num_classes=None`"
            )
        own = {key: kwargs.pop(key, None) for key in ("image_shape", "dtype")}
        model = build(preset, load_weights, classes=classes, classifier_activation=None, **own)
        return cls.from_model(model, num_classes, **kwargs)
