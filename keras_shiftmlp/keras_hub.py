"""Our networks as backbones of KerasHub: presets, classifiers, detectors and segmenters.

    import keras_shiftmlp.keras_hub

is the only thing that imports KerasHub, and what a process must import before `from_preset`.
"""

from typing import Any

import keras

from keras_shiftmlp.layers import names
from keras_shiftmlp.models import ImageModel

try:
    import keras_hub
except ImportError as error:
    raise ImportError(
        "`keras_shiftmlp.keras_hub` needs KerasHub: pip install 'keras_shiftmlp[hub]'"
    ) from error


@keras.saving.register_keras_serializable(package="keras_shiftmlp", name="HubBackbone")
class Backbone(keras_hub.models.FeaturePyramidBackbone):
    """The layers of an `ImageModel` without its head, as a KerasHub backbone.

    Maps pixels `(B, H, W, C)` to the last feature map `(B, H', W', C')`. A preset holds the whole
    network as it is, with the normalisation and the GELU that its checkpoint asked for, and never
    names the checkpoint.

    Args:
        model: A model built with `include_top=False` and no `pooling`. Its layers are used, not
            copied.
        dtype: Dtype policy. `None` keeps that of `model`; another one makes new layers with the
            same weights.
        **kwargs: `name` and `trainable`.

    Raises:
        ValueError: For a model that does not end in a feature map. `pyramid_outputs` raises it
            where no stride is a power of two.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4, 2), dims=(16, 24), depths=(1, 1), include_top=False)
    >>> {level: x.shape for level, x in Backbone(model).pyramid_outputs.items()}
    {'P2': (None, None, None, 16), 'P3': (None, None, None, 24)}
    """

    def __init__(self, model: ImageModel, dtype: Any = None, **kwargs: Any):
        if not isinstance(model, ImageModel) or len(model.output.shape) != 4:
            raise ValueError(
                "`model` must be an ImageModel that ends in a feature map, such as "
                "`keras_shiftmlp.MSMLPTiny(include_top=False)`. "
                f"Received: `model={model}`"
            )
        kwargs.setdefault("name", model.name)
        policy = model.preprocessing.dtype_policy
        # A map of policies, which quantized presets bring, is in the layers already.
        mapped = isinstance(dtype, keras.dtype_policies.DTypePolicyMap)
        if dtype is not None and not mapped and keras.dtype_policies.get(dtype) != policy:
            policy = keras.dtype_policies.get(dtype)
            serialized = keras.dtype_policies.serialize(policy)

            def in_policy(layer):
                return layer.from_config({**layer.get_config(), "dtype": serialized})

            weights = model.get_weights()
            model = keras.models.clone_model(model, clone_function=in_policy)
            model.set_weights(weights)
        [image] = model.inputs
        super().__init__(image, model.output, dtype=dtype if mapped else policy, **kwargs)
        self.image_shape = tuple(image.shape[1:])

    def image_model(self) -> ImageModel:
        """The same layers as an `ImageModel`, for `keras_shiftmlp.export` and the rest."""
        return ImageModel(self.inputs[0], self.output, name=self.name)

    @property
    def pyramid_outputs(self) -> dict[str, Any]:
        """The feature maps by level: `"P2"` of stride 4, `"P3"` of stride 8 and so on."""
        model = self.image_model()
        if not model.pyramid_outputs:
            raise ValueError(
                "Pyramid levels stand for strides of 4, 8, 16, ..., which this network does not "
                f"have. Received: a model with the strides {model.strides}"
            )
        return model.pyramid_outputs

    def default_lora_layer_names(self) -> list[str]:
        """The dense layers of the blocks, which `enable_lora` updates."""
        dense = [layer.name for layer in self.layers if hasattr(layer, "enable_lora")]
        return [name for name in dense if names.BLOCK in name]

    def get_config(self):
        model = keras.saving.serialize_keras_object(self.image_model())
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config):
        model = keras.saving.deserialize_keras_object(config["model"])
        return super().from_config({**config, "model": model})


@keras.saving.register_keras_serializable(package="keras_shiftmlp", name="HubImageClassifier")
class ImageClassifier(keras_hub.models.ImageClassifier):
    """KerasHub's classifier on a `Backbone`, so that `from_preset` finds the way back to it.

    Its head is KerasHub's: pooling, dropout and a dense layer that gives logits. The arguments are
    those of `keras_hub.models.ImageClassifier`.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4, 2), dims=(16, 24), depths=(1, 1), include_top=False)
    >>> ImageClassifier(Backbone(model), num_classes=5).output_shape
    (None, 5)
    """

    backbone_cls = Backbone
