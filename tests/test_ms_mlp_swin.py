"""The hybrid of MS-MLP and Swin Transformer: its attention against timm, its sizes."""

from functools import partial

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, JIT, as_one_program, once, run, trains
from families.ms_mlp_swin import TIMM_SWIN
from keras import ops

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints.port import port
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers.shifted_window_attention import relative_position_index
from keras_shiftmlp.models.ms_mlp_swin import swin_block

to_numpy = ops.convert_to_numpy
# Stages of timm: heads, window, always_partition.
STAGES = {
    "w4_multiple": (3, 4, False),
    "w4_pad": (3, 4, False),
    "w4_oneaxis": (3, 4, False),
    "w7_pad": (2, 7, False),
    "w7_equal": (2, 7, False),
    "w7_smaller": (2, 7, False),
    "w7_always_partition": (2, 7, True),
}


def load(case):
    with np.load(HERE / "golden_data" / f"swin_stage_timm_{case}.npz") as file:
        return dict(file)


def full_table(table, height, width, window):
    """The bias table of a window cut to a map of `height` x `width`, inside a full table."""
    full = np.zeros((2 * window - 1, 2 * window - 1, table.shape[-1]), table.dtype)
    height, width = min(height, window), min(width, window)
    middle = full[window - height : window + height - 1, window - width : window + width - 1]
    middle[:] = table.reshape(middle.shape)
    return full.reshape(-1, table.shape[-1])


def build(case, arrays, sides):
    heads, window, always_partition = STAGES[case]
    weights = {
        key.replace("weights/", "layers.0."): value
        for key, value in arrays.items()
        if key.startswith("weights/")
    }
    *_, channels = arrays["input"].shape
    x = inputs = keras.Input((*sides, channels))
    if "layers.0.downsample.norm.weight" in weights:
        x = layers.PatchMerging(name="stage_0_stem")(x)
        x = keras.layers.LayerNormalization(epsilon=1e-5, name="stage_0_stem_norm")(x)
        dim = arrays["output"].shape[-1]
        x = keras.layers.Dense(dim, use_bias=False, name="stage_0_stem_reduction")(x)
    for i in range(sum(key.endswith("table") for key in weights)):
        attention = dict(
            num_heads=heads,
            window_size=window,
            shift_size=window // 2 if i % 2 else 0,
            always_partition=always_partition,
        )
        x = swin_block(
            x, attention=attention, mlp_ratio=4, drop_path_rate=0, name=f"stage_0_block_{i}"
        )
        key = f"layers.0.blocks.{i}.attn.relative_position_bias_table"
        if len(weights[key]) < (2 * window - 1) ** 2:
            _, height, width, _ = arrays["input"].shape
            weights[key] = full_table(weights[key], height, width, window)
    model = keras.Model(inputs, x)
    port(weights, TIMM_SWIN, model.layers)
    return model


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("case", STAGES)
def test_stage_is_that_of_timm(case, known):
    arrays = load(case)
    sides = arrays["input"].shape[1:3] if known else (None, None)
    model = build(case, arrays, sides)
    maps = {"stage_0_stem_reduction": "debug/merged"}
    for i in range(3):
        maps[f"stage_0_block_{i}_spatial"] = f"debug/block{i}_attn"
        maps[f"stage_0_block_{i}_channel_add"] = f"debug/block{i}"
    outputs = {layer.name: layer.output for layer in model.layers if layer.name in maps}
    assert len(outputs) == sum(key.startswith("debug/") for key in arrays)
    actual = run(keras.Model(model.input, outputs), arrays["input"])
    for name in outputs:
        expected = arrays[maps[name]]
        difference = np.abs(actual[name] - expected).max()
        assert difference <= 1e-5 * max(1, np.abs(expected).max()), f"{name} differs first"
    np.testing.assert_array_equal(expected, arrays["output"])


@pytest.mark.parametrize("case", STAGES)
def test_positions_and_masks_are_those_of_timm(case):
    arrays = load(case)
    _, window, _ = STAGES[case]
    _, height, width, _ = arrays["output"].shape
    model = build(case, arrays, arrays["input"].shape[1:3])
    # Positions of the window that are inside the map.
    inside = np.arange(window**2).reshape(window, window)[:height, :width].ravel()
    if case == "w7_always_partition":
        inside = np.arange(window**2)
    for layer in model.layers:
        if not isinstance(layer, layers.ShiftedWindowAttention):
            continue
        block = f"block{layer.name.split('_')[3]}"
        bias = to_numpy(as_one_program(layer.relative_position_bias)())
        bias = bias[:, inside[:, None], inside]
        np.testing.assert_array_equal(bias, arrays[f"relative_position_bias/{block}"])
        index = arrays[f"relative_position_index/{block}"]
        if len(index) == window**2:
            np.testing.assert_array_equal(relative_position_index(window), index)
        mask = as_one_program(partial(layer.attention_mask, height, width))()
        if f"attn_mask/{block}" in arrays:
            np.testing.assert_array_equal(to_numpy(mask), arrays[f"attn_mask/{block}"])
        elif case != "w7_smaller":
            assert mask is None


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only its graphs have unknown sizes")
def test_graph_of_unknown_sizes():
    import tensorflow as tf

    layer = layers.ShiftedWindowAttention(2, 4, 2)
    layer.build((None, None, None, 8))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 8))])
    for height, width in ((8, 12), (9, 14), (4, 11), (3, 2), (1, 5)):
        x = np.random.default_rng(0).normal(size=(2, height, width, 8)).astype("float32")
        np.testing.assert_allclose(graph(x), layer(x), atol=1e-6)


def test_a_small_map_is_one_window():
    """Without a shift, every position sees the map and nothing else."""
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 8)).astype("float32")
    small = layers.ShiftedWindowAttention(2, 3, 1)
    large = layers.ShiftedWindowAttention(2, 7, 3)
    for layer in (small, large):
        layer.build(x.shape)
    table, *weights = small.get_weights()
    large.set_weights([full_table(table, 3, 3, 7), *weights])
    actual, expected = (to_numpy(as_one_program(layer)(x)) for layer in (large, small))
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@once
@pytest.mark.parametrize(
    "name, stage_1_depth, parameters, macs",
    [
        ("MSMLPSwinTiny", 2, 28_274_428, 4.769946624e9),
        ("MSMLPSwinTiny", 1, 28_196_732, 4.529302528e9),
        ("MSMLPSwinSmall", 2, 49_592_332, 9.020255232e9),
        ("MSMLPSwinBase", 2, 87_742_104, 15.93591808e9),
        ("MSMLPSwinBase", 1, 87_605_528, 15.511629824e9),
    ],
)
def test_sizes_of_the_reconstruction(name, stage_1_depth, parameters, macs):
    """Counts that were derived by hand from the description of the network."""
    with zero_start():
        model = keras_shiftmlp.get_model(name, weights=None)
        if stage_1_depth != 2:
            first, _, *rest = keras_shiftmlp.models.CONSTRUCTORS[name].config["depths"]
            depths = (first, stage_1_depth, *rest)
            model = keras_shiftmlp.get_model(name, weights=None, depths=depths)
    assert model.count_params() == parameters
    assert keras_shiftmlp.count_macs(model) == macs
    sides = {level: x.shape[1] for level, x in model.pyramid_outputs.items()}
    assert sides == {"P1": 112, "P2": 56, "P3": 28, "P4": 14, "P5": 7}


@trains
def test_every_weight_gets_a_gradient():
    model = keras.Sequential([keras.Input((5, 9, 8)), layers.ShiftedWindowAttention(2, 4, 2)])
    model.compile("sgd", "mse", jit_compile=JIT)
    before = model.get_weights()
    x = np.random.default_rng(0).normal(size=(2, 5, 9, 8)).astype("float32")
    model.train_on_batch(x, x)
    for old, new in zip(before, model.get_weights()):
        assert np.abs(new - old).max() > 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: layers.ShiftedWindowAttention(2, 4, 4), "`shift_size=4`"),
        (lambda: layers.ShiftedWindowAttention(2, 4, -1), "`shift_size=-1`"),
        (lambda: layers.ShiftedWindowAttention(3)(np.zeros((1, 7, 7, 8))), "multiple of 3 heads"),
        (lambda: layers.ShiftedWindowAttention(2)(np.zeros((1, 7, 8))), r"\(1, 7, 8\)"),
        (lambda: keras_shiftmlp.get_model("MSMLPSwin", num_heads=(6, 12)), r"`num_heads=\(6, 12\)"),
        (lambda: keras_shiftmlp.get_model("MSMLPSwin", num_heads=(5, 12, 24)), "divisor"),
        (lambda: keras_shiftmlp.get_model("MSMLPSwin", window_size=0), "`window_size=0`"),
        (lambda: keras_shiftmlp.get_model("MSMLPSwin", mlp_ratio=0), "`mlp_ratio=0`"),
        (lambda: keras_shiftmlp.get_model("MSMLPSwin", shifts=(0, 1)), "`shifts="),
        (lambda: keras_shiftmlp.get_model("MSMLPSwin", depths=(1,)), "One entry per stage"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
