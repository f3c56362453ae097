"""Any network of ours as a backbone of KerasHub."""

import copy
from typing import Any

import keras
import keras_hub

from keras_shiftmlp.keras_hub.image_converter import ImageClassifierPreprocessor, ImageConverter
from keras_shiftmlp.keras_hub.presets import PRESETS, build
from keras_shiftmlp.layers import names
from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing
from keras_shiftmlp.models import ImageModel

_NAME = "_backbone"


@keras.saving.register_keras_serializable(package="keras_shiftmlp", name="HubBackbone")
class Backbone(keras_hub.models.FeaturePyramidBackbone):
    """The layers of an `ImageModel` without its head, as a KerasHub backbone.

    Maps pixels `(B, H, W, C)` to the last feature map `(B, H', W', C')`. A preset stores the
    complete configuration of the network, including its normalisation and its form of GELU, but no
    reference to the checkpoint.

    Backbones of `from_preset` take pixels that an `ImageConverter` has normalised, as KerasHub's
    do. A `model` that normalises pixels itself takes pixels in `[0, 255]`.

    Args:
        model: A model built with `include_top=False` and no `pooling`. Its layers are shared, not
            copied.
        dtype: Dtype policy. `None` keeps that of `model`; another one makes new layers with the
            same weights. A layer that normalises pixels stays in float32.
        **kwargs: `name` and `trainable`. The default name is that of `model` with `_backbone`.

    Raises:
        ValueError: For a model that does not end in a feature map. `pyramid_outputs` raises it if
            no stride is a power of two.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4, 2), dims=(16, 24), depths=(1, 1), include_top=False)
    >>> {level: x.shape for level, x in Backbone(model).pyramid_outputs.items()}
    {'P2': (None, None, None, 16), 'P3': (None, None, None, 24)}
    >>> Backbone.from_preset("ms_mlp_nano_cifar10").name
    'msmlp_nano_backbone'
    """

    presets = PRESETS

    def __init__(self, model: ImageModel, dtype: Any = None, **kwargs: Any):
        if not isinstance(model, ImageModel) or len(model.output.shape) != 4:
            raise ValueError(
                "`model` must be an ImageModel that ends in a feature map, such as "
                "`keras_shiftmlp.MSMLPTiny(include_top=False)`. "
                f"Received: `model={model}`"
            )
        kwargs.setdefault("name", model.name + _NAME)
        policy = model.layers[-1].dtype_policy
        # A map of policies comes with quantized presets; the layers already have these policies.
        mapped = isinstance(dtype, keras.dtype_policies.DTypePolicyMap)
        if dtype is not None and not mapped and keras.dtype_policies.get(dtype) != policy:
            policy = keras.dtype_policies.get(dtype)
            model = _in_policy(model, policy)
        [image] = model.inputs
        super().__init__(image, model.output, dtype=dtype if mapped else policy, **kwargs)
        self.image_shape = tuple(image.shape[1:])

    def image_model(self) -> ImageModel:
        """The same layers as an `ImageModel`, such as `keras_shiftmlp.export` takes."""
        return ImageModel(self.inputs[0], self.output, name=self.name.removesuffix(_NAME))

    def image_converter(self, **kwargs: Any) -> ImageConverter:
        """Prepares photos of any size for this backbone, as its checkpoint was evaluated.

        Args:
            **kwargs: Arguments of `ImageConverter` that differ.

        Example:

        >>> from keras_shiftmlp import MSMLPNano
        >>> backbone = Backbone(MSMLPNano(include_top=False))
        >>> backbone.image_converter().image_size
        (32, 32)
        """
        model = self.image_model()
        return ImageConverter.from_preprocessing(model.preprocessing, model.image_size, **kwargs)

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
        # Keras empties the config of a functional model that it rebuilds.
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config["model"]))
        return super().from_config({**config, "model": model})

    @classmethod
    def from_preset(cls, preset: str, load_weights: bool = True, **kwargs: Any) -> "Backbone":
        """As in KerasHub; `preset` may also be a key of `presets`.

        The first use of a name downloads the authors' file and converts it.

        Args:
            preset: Key of `presets`, folder, or `hf://` or `kaggle://` address.
            load_weights: Whether to load the weights.
            **kwargs: `dtype` and `name`; for a key also `image_shape`, which is `(H, W, C)`.
        """
        if preset not in PRESETS:
            return super().from_preset(preset, load_weights, **kwargs)
        own = {key: kwargs.pop(key, None) for key in ("image_shape", "dtype")}
        return cls(build(preset, load_weights, include_top=False, **own), **kwargs)

    def save_to_preset(self, preset_dir: str, *args: Any, **kwargs: Any) -> None:
        """As in KerasHub, with the image converter, so that a task can be made of the preset."""
        super().save_to_preset(preset_dir, *args, **kwargs)
        self.image_converter().save_to_preset(preset_dir)


# KerasHub finds the classes that belong to a preset by its backbone.
ImageConverter.backbone_cls = ImageClassifierPreprocessor.backbone_cls = Backbone


def _in_policy(model, policy):
    """The model in another dtype policy, with the same weights."""

    def in_policy(layer):
        normalizes = isinstance(layer, ImagePreprocessing) and layer.normalize
        own = {} if normalizes else {"dtype": serialized}
        return layer.from_config({**layer.get_config(), **own})

    serialized = keras.dtype_policies.serialize(policy)
    clone = keras.models.clone_model(model, clone_function=in_policy)
    clone.set_weights(model.get_weights())
    return clone
