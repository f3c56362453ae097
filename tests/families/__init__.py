"""What the suite knows of each family: one file per family, found without a central list.

A family's file has `CASES` (tiny networks), `GOLDEN` (reference vectors), `RECIPES` (the paper's
settings) and, if the family has layers of its own, `LAYERS`.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence

import keras

import keras_shiftmlp
from keras_shiftmlp.checkpoints.sources import Row


@dataclasses.dataclass(frozen=True)
class Case:
    """One network of a family, small enough to build in a moment.

    Args:
        name: Key in the frozen files.
        constructor: Name of the general constructor.
        hyperparameters: Its hyper-parameters.
        map_shape: Shape of the last feature map for images of `input_shape`.
        levels: Pyramid levels.
        any_size: Whether height and width may be unknown.
        input_shape: Shape of the images.
        smallest_side: Smallest height and width of an image.
        crops: Whether patches that are not full are cropped, not padded.
        rematerialized: Largest share of the memory for activations that `rematerialize` keeps.
            Layers with a BatchNormalization are not recomputed.
        lora_layers: Fewest layers that `enable_lora` finds in a network of one block per stage.
        without_gradient: Regular expression for the paths of biases that do not affect the outputs
            in training: a norm after them removes what they add.
    """

    name: str
    constructor: str
    hyperparameters: dict
    map_shape: tuple[int, int, int]
    levels: tuple[str, ...]
    any_size: bool = True
    input_shape: tuple[int, int, int] = (32, 48, 3)
    smallest_side: int = 1
    crops: bool = False
    rematerialized: float = 0.65
    lora_layers: int = 2
    without_gradient: str = "nothing"

    def build(self, **kwargs) -> keras_shiftmlp.ImageModel:
        defaults = dict(input_shape=self.input_shape, classes=5)
        return keras_shiftmlp.get_model(
            self.constructor, **{**self.hyperparameters, **defaults, **kwargs}
        )


@dataclasses.dataclass(frozen=True)
class Golden:
    """One reference network: the constructor, its hyper-parameters and the key table.

    Args:
        constructor: Name of the general constructor.
        hyperparameters: Its hyper-parameters.
        table: Rows from the reference's keys to our variables.
        tolerance: Largest difference of a logit, in multiples of `max(1, max|logit|)`.
        maps: The layers whose outputs are the reference's maps inside a block, by the map's name.
    """

    constructor: str
    hyperparameters: dict
    table: Sequence[Row]
    tolerance: float = 1e-5
    maps: Mapping[str, str] = dataclasses.field(default_factory=dict)


MODEL_CASES: dict[str, Case] = {}
GOLDEN: dict[str, Golden] = {}
# The settings of the paper's ImageNet recipe, by the recipe's name.
RECIPES: dict[str, dict] = {}
# Layers that take and return a map `(B, H, W, C)` of any size, by name: keyword arguments -> layer.
LAYERS: dict[str, Callable[..., keras.layers.Layer]] = {}

for _module in pkgutil.iter_modules(__path__):
    _family = importlib.import_module(f"{__name__}.{_module.name}")
    MODEL_CASES |= {case.name: case for case in _family.CASES}
    GOLDEN |= _family.GOLDEN
    LAYERS |= getattr(_family, "LAYERS", {})
    RECIPES |= getattr(_family, "RECIPES", {})
