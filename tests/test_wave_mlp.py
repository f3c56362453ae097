"""Wave-MLP at full size: its counts, the released files' layout, and what it refuses."""

import keras
import numpy as np
import pytest
from cases import BACKEND
from layouts import random_state_dict

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.kernels import depthwise
from keras_shiftmlp.kernels.depthwise import depthwise_conv
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.models import WaveMLP, WaveMLPTiny, WaveMLPTinyDW

on_numpy = pytest.mark.skipif(BACKEND != "numpy", reason="large, and the same on each backend")
to_numpy = keras.ops.convert_to_numpy


@on_numpy
@pytest.mark.parametrize(
    "name, params, macs",
    [
        ("WaveMLPTinyDW", 15_286_472, 2_163_068_928),
        ("WaveMLPTiny", 17_193_160, 2_461_515_776),
        ("WaveMLPSmall", 30_708_040, 4_522_033_152),
        ("WaveMLPMedium", 44_056_632, 7_872_221_184),
        ("WaveMLPBase", 63_586_360, 10_215_309_312),
    ],
)
def test_parameters_and_macs(name, params, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(name, weights=None)
    assert sum(w.value.size for w in model.trainable_weights) == params
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)
    assert tuple(model.pyramid_outputs) == ("P2", "P3", "P4", "P5")


@on_numpy
@pytest.mark.parametrize(
    "constructor, layout", [(WaveMLPTinyDW, "wave_mlp_t_dw"), (WaveMLPTiny, "wave_mlp_t")]
)
def test_a_released_file_loads(constructor, layout, tmp_path):
    torch = pytest.importorskip("torch")
    arrays = random_state_dict(layout)
    arrays = {key: torch.as_tensor(array) for key, array in arrays.items()}
    counted = {f"{key}total_ops": torch.zeros(1).double() for key in ("", "network.0.0.attn.")}
    path = tmp_path / "WaveMLP.pth.tar"
    torch.save(arrays | counted, path)
    model = constructor(weights=str(path))
    weights = {weight.path: to_numpy(weight) for weight in model.weights}
    # Their "h" is a window along the width; output 3 reads the channels 6 and 7.
    theirs = arrays["network.4.2.attn.tfc_h.weight"][3, 1, 0, 5]
    assert weights["stage_2_block_2_spatial/row_kernel"][0, 5, 7, 0] == theirs.numpy()
    theirs = arrays["network.6.1.attn.tfc_w.weight"][0, 0, 2, 0]
    assert weights["stage_3_block_1_spatial/column_kernel"][2, 0, 0, 0] == theirs.numpy()
    # Logit of channel 2 of 64 in branch 1.
    theirs = arrays["network.0.0.attn.reweight.fc2.bias"][2 * 3 + 1].numpy()
    assert weights["stage_0_block_0_spatial/attention/fc2/bias"][64 + 2] == theirs


def test_waves_are_summed_in_pairs_of_neighbours():
    layer = layers.PhaseAwareTokenMixing()
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    layer.build(x.shape)
    seen = []
    layer.attention.call = lambda branches: seen.extend(branches) or branches[0]
    layer(x)
    for branch, axis in (("row", 2), ("column", 1)):
        phase = getattr(layer, f"{branch}_phase")
        theta = x @ to_numpy(phase.kernel) + to_numpy(phase.bias)
        theta = np.maximum(theta / np.sqrt(1 + 1e-5), 0)
        a = x @ to_numpy(getattr(layer, f"{branch}_amplitude").kernel)
        wave = np.concatenate([a * np.cos(theta), a * np.sin(theta)], -1)
        wave = np.moveaxis(wave, axis, 0)
        kernel = to_numpy(getattr(layer, f"{branch}_kernel")).reshape(7, 6)
        expected = np.zeros((*wave.shape[:-1], 3))
        for place in range(len(wave)):
            for tap in range(7):
                other = place + tap - 3
                if 0 <= other < len(wave):
                    y = wave[other] * kernel[tap]
                    expected[place] += y[..., [0, 2, 4]] + y[..., [1, 3, 5]]
        actual = np.moveaxis(to_numpy(seen[axis == 1]), axis, 0)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 7), (7, 1), (3, 5)])
def test_depthwise_kernels_need_not_be_square(size):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    kernel = rng.normal(size=(*size, 3, 1)).astype("float32")
    y = to_numpy(
        depthwise_conv(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(kernel))
    )
    p, q = size[0] // 2, size[1] // 2
    padded = np.pad(x, ((0, 0), (p, p), (q, q), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(1, 2))
    expected = np.einsum("bhwcij,ijc->bhwc", windows, kernel[..., 0])
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX has one form for a CPU and two for a GPU")
@pytest.mark.parametrize("size, is_convolution", [((1, 7), False), ((7, 1), False), ((3, 3), True)])
def test_depthwise_kernels_on_a_gpu(size, is_convolution, monkeypatch):
    import jax

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    kernel = rng.normal(size=(*size, 3, 1)).astype("float32")

    def traced(only_cpus):
        monkeypatch.setattr(depthwise, "has_only_cpus", lambda: only_cpus)

        # A new function, because JAX keeps what it traced.
        def function(*args):
            y = depthwise_conv(*args)
            return (y**2).sum(), y

        program = str(jax.make_jaxpr(function)(x, kernel))
        function = jax.jit(jax.value_and_grad(function, argnums=(0, 1), has_aux=True))
        (_, y), gradients = function(x, kernel)
        return program, [y, *gradients]

    (_, expected), (program, found) = traced(True), traced(False)
    assert ("conv_general_dilated" in program) == is_convolution
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: WaveMLPTiny(weights=None, input_shape=(2, 32, 3)), "at least 3 by 3"),
        (lambda: WaveMLP(mlp_ratios=(4, 4)), "One entry per stage"),
        (lambda: WaveMLP(norm="layer"), "`norm='layer'`"),
        (lambda: WaveMLP(phase_conv="conv"), "`phase_conv='conv'`"),
        (lambda: layers.PhaseAwareTokenMixing("conv"), "`phase_conv='conv'`"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
