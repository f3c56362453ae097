"""Cheap fine-tuning: low-rank updates of the dense layers."""

import re

import keras


def dense_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The dense layers of a model by path, those inside `S2Attention` included.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4,), dims=(16,), depths=(1,), input_shape=(8, 8, 3))
    >>> [path for path in dense_layers(model) if "spatial" in path][:2]
    ['stage_0_block_0_spatial/expand', 'stage_0_block_0_spatial/project']
    """
    found = {}
    for layer in model.layers:
        for part in (layer, getattr(layer, "expand", None), getattr(layer, "project", None)):
            if isinstance(part, (keras.layers.Dense, keras.layers.EinsumDense)):
                found[part.path] = part
    return found


def enable_lora(model: keras.Model, rank: int, layers: str = "block") -> list[str]:
    """Freezes the model but for its head and a low-rank update of its dense layers.

    Each chosen kernel `W` becomes `W + A B` with `A` of `rank` columns; only `A`, `B` and the
    classifier are trained from then on. Compile the model afterwards.

    Args:
        model: A built model.
        rank: Rank of the updates, at least 1.
        layers: Regular expression that a layer's path must contain.

    Returns:
        The paths of the layers that were changed.

    Raises:
        ValueError: Where no layer matches, or for a rank below 1.

    Reference: [LoRA](https://arxiv.org/abs/2106.09685).

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=4, dim=16, depth=1, input_shape=(8, 8, 3), classes=2)
    >>> enable_lora(model, 2)[0]
    'block_0_token_fc1'
    """
    chosen = {p: x for p, x in dense_layers(model).items() if re.search(layers, p)}
    chosen = {path: layer for path, layer in chosen.items() if layer is not model.layers[-1]}
    if rank < 1 or not chosen:
        raise ValueError(
            "`rank` must be at least 1 and `layers` must match the path of a dense layer, such as "
            f"{next(iter(dense_layers(model)), None)!r}. Received: `{rank=}`, `{layers=}`"
        )
    for variable in model.trainable_variables:
        variable.trainable = variable.path.startswith("predictions/")
    for layer in chosen.values():
        layer.enable_lora(rank)
    return list(chosen)
