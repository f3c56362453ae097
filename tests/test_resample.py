"""Token-mixing weights at another image size, against matrices that are written out."""

import keras
import numpy as np
import pytest
from cases import BACKEND, MODEL_CASES

from keras_shiftmlp.checkpoints.port import port
from keras_shiftmlp.layers import TokenDense
from keras_shiftmlp.layers.resample import (
    bicubic_matrix,
    interpolation_matrix,
    resample_tokens,
)
from keras_shiftmlp.publishing.checkpoints import save_safetensors

pytestmark = pytest.mark.skipif(BACKEND != "numpy", reason="the arithmetic is NumPy's")

RNG = np.random.default_rng(0)
GRIDS = [(4, 4), (7, 5), (2, 2), (1, 3), (8, 3)]


def reference_matrix(old, new):
    """Linear interpolation with antialiasing, one number at a time."""
    matrix = np.zeros((new, old))
    width = max(1, old / new)
    for i in range(new):
        for j in range(old):
            distance = abs((j + 0.5) - (i + 0.5) * old / new)
            matrix[i, j] = max(0, 1 - distance / width)
        matrix[i] /= sum(matrix[i])
    return matrix


def reference_tokens(side, grid):
    """`(new tokens, old tokens)`, tokens numbered row by row."""
    rows, columns = reference_matrix(side, grid[0]), reference_matrix(side, grid[1])
    matrix = np.zeros((grid[0] * grid[1], side * side))
    for new, old in np.ndindex(matrix.shape):
        (i, j), (y, x) = divmod(new, grid[1]), divmod(old, side)
        matrix[new, old] = rows[i, y] * columns[j, x]
    return matrix


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, 3, [[1], [1], [1]]),
        (2, 4, [[1, 0], [3 / 4, 1 / 4], [1 / 4, 3 / 4], [0, 1]]),
        (2, 3, [[1, 0], [1 / 2, 1 / 2], [0, 1]]),
        (3, 1, [[2 / 7, 3 / 7, 2 / 7]]),
        # Without antialiasing, the two ends would count for nothing.
        (4, 2, [[3 / 7, 3 / 7, 1 / 7, 0], [0, 1 / 7, 3 / 7, 3 / 7]]),
        (3, 3, np.eye(3)),
    ],
)
def test_interpolation_matrix(old, new, expected):
    np.testing.assert_allclose(interpolation_matrix(old, new), expected, atol=1e-15)
    np.testing.assert_allclose(reference_matrix(old, new), expected, atol=1e-15)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_resampled_tokens(grid, axis):
    array = RNG.normal(size=(16, 3) if axis == 0 else (3, 16)).astype("float32")
    expected = np.moveaxis(reference_tokens(4, grid) @ np.moveaxis(array, axis, 0), 0, axis)
    outputs = resample_tokens(array, axis, grid, inputs=False)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    inputs = resample_tokens(array, axis, grid, inputs=True)
    expected = expected * 16 / (grid[0] * grid[1])
    np.testing.assert_allclose(inputs, expected, rtol=1e-5, atol=1e-6)
    for result in (inputs, outputs):
        assert result.dtype == array.dtype and result.flags.c_contiguous
        assert (result is array) == (grid == (4, 4))


def test_bicubic_matrix():
    # The cubic with the parameter -0.75, by hand, at distances of 1.25, 0.25, 0.75 and 1.75.
    far, near, middle, farthest = -0.10546875, 0.87890625, 0.26171875, -0.03515625
    twice = bicubic_matrix(6, 12, align_corners=False)
    np.testing.assert_allclose(twice[5], [0, far, near, middle, farthest, 0], atol=1e-12)
    # What lies outside of the grid has the value of its end.
    np.testing.assert_allclose(twice[0], [near + middle + farthest, far, 0, 0, 0, 0], atol=1e-12)
    aligned = bicubic_matrix(4, 7, align_corners=True)
    np.testing.assert_allclose(aligned[::2], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(aligned[3], [-0.09375, 0.59375, 0.59375, -0.09375], atol=1e-12)
    np.testing.assert_allclose(bicubic_matrix(3, 1, align_corners=True), [[1, 0, 0]], atol=1e-12)


def test_pillow_interpolates_alike():
    image = pytest.importorskip("PIL.Image")
    array = RNG.normal(size=(6, 6)).astype("float32")
    for rows, columns in GRIDS:
        resized = image.fromarray(array).resize((columns, rows), image.Resampling.BILINEAR)
        ours = resample_tokens(array.reshape(36, 1), 0, (rows, columns), inputs=False)
        np.testing.assert_allclose(ours.reshape(rows, columns), np.asarray(resized), atol=2e-5)


@pytest.mark.parametrize("inputs", [True, False])
def test_there_and_back(inputs):
    """Weights without high frequencies come back; the highest frequency does not."""
    position = (np.arange(14) + 0.5) / 14
    waves = [np.cos(np.pi * k * position) for k in range(14)]
    low = np.stack([np.outer(waves[i], waves[j]).ravel() for i in (0, 1) for j in (0, 1)], -1)
    high = np.outer(waves[13], waves[13]).reshape(-1, 1)
    for array, least, most in ((low, 0, 0.03), (high, 0.5, 1)):
        larger = resample_tokens(array, 0, (28, 28), inputs)
        error = np.abs(resample_tokens(larger, 0, (14, 14), inputs) - array).max()
        assert least <= error <= most
    # The sum over a constant image does not depend on its size.
    total = resample_tokens(low, 0, (28, 28), inputs).sum(0)
    np.testing.assert_allclose(total * (1 if inputs else 1 / 4), low.sum(0), atol=1e-9)


def token_dense(inputs, outputs, activation=None):
    layer = TokenDense(outputs, activation)
    layer.build((None, inputs, 3))
    return layer


def test_what_a_token_dense_resamples():
    """Kernels `(S, T)` and biases `(T, 1)` from 2 x 2 to 3 x 2 tokens."""
    matrix, grid = reference_tokens(2, (3, 2)), (3, 2)
    kernel, bias = RNG.normal(size=(4, 5)), RNG.normal(size=4)
    first, second = token_dense(6, 5, "relu"), token_dense(5, 6)
    np.testing.assert_allclose(
        first.resample("kernel", kernel, (6, 5), grid), matrix @ kernel * 4 / 6
    )
    np.testing.assert_allclose(
        second.resample("kernel", kernel.T, (5, 6), grid), kernel.T @ matrix.T
    )
    for array in (bias, bias[:, None]):
        resampled = second.resample("bias", array, (6, 1), grid)
        np.testing.assert_allclose(resampled, (matrix @ bias)[:, None])


def test_a_kernel_from_tokens_to_tokens_is_resampled_on_both_axes():
    matrix, kernel = reference_tokens(2, (3, 2)), RNG.normal(size=(4, 4))
    resampled = token_dense(6, 6).resample("kernel", kernel, (6, 6), (3, 2))
    np.testing.assert_allclose(resampled, matrix @ kernel @ matrix.T * 4 / 6)


@pytest.mark.parametrize(
    ("activation", "name", "old", "new", "grid"),
    [
        (None, "kernel", (4, 9), (6, 6), (3, 2)),
        (None, "lora_kernel_a", (4, 6), (6, 6), (3, 2)),
        (None, "kernel", (4, 5), (6, 5), None),
        (None, "kernel", (4, 5), (6, 7), (3, 2)),
        (None, "kernel", (4, 5), (6, 5), (2, 2)),
        (None, "kernel", (4,), (6, 5), (3, 2)),
        (None, "kernel", (), (6, 5), (3, 2)),
        # Hidden units, which happen to be as many as the tokens.
        ("relu", "kernel", (6, 4), (6, 6), (3, 2)),
        ("relu", "bias", (4, 1), (6, 1), (3, 2)),
    ],
)
def test_what_a_token_dense_leaves_unchanged(activation, name, old, new, grid):
    array = np.ones(old)
    assert token_dense(6, 6, activation).resample(name, array, new, grid) is array


def test_only_squares_are_resampled():
    with pytest.raises(ValueError, match="Only a square grid of tokens can be resampled"):
        token_dense(4, 5, "relu").resample("kernel", np.ones((6, 5)), (4, 5), (2, 2))


def mixer(side, tokens_mlp_dim=12):
    case = MODEL_CASES["mixer"]
    return case.build(input_shape=(8 * side, 8 * side, 3), tokens_mlp_dim=tokens_mlp_dim)


def weights_of(model):
    return {weight.path: np.asarray(weight) for weight in model.weights}


IDENTITY = [(r".*", r"\g<0>", lambda array: array)]


def test_a_model_of_another_size():
    small, large = mixer(4), mixer(3)
    for weight in small.weights:
        weight.assign(RNG.normal(size=weight.shape))
    old = weights_of(small)
    port(dict(old), IDENTITY, large.layers, grid=(3, 3))
    matrix = reference_tokens(4, (3, 3))
    for path, new in weights_of(large).items():
        expected = old[path]
        if path.endswith("token_fc1/kernel"):
            expected = matrix @ expected * 16 / 9
        if path.endswith("token_fc2/kernel"):
            expected = expected @ matrix.T
        if path.endswith("token_fc2/bias"):
            expected = matrix @ expected
        np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-6)


# The weights of ViP have equal shapes at every size: `test_vip.py` shows that they are refused.
BOUND = {
    name: case
    for name, case in MODEL_CASES.items()
    if not case.any_size and case.constructor != "ViP"
}


@pytest.mark.parametrize("case", BOUND.values(), ids=BOUND)
def test_every_family_that_is_bound_to_a_size_is_resampled(case, tmp_path):
    old, fresh = (case.build(input_shape=(side, 64, 3)) for side in (64, 96))
    for weight in old.weights:
        weight.assign(RNG.normal(size=weight.shape))
    save_safetensors(old, tmp_path / "old.safetensors")
    new = case.build(input_shape=(96, 64, 3), weights=tmp_path / "old.safetensors")
    old, fresh, new = (weights_of(model) for model in (old, fresh, new))
    changed = [path for path in old if old[path].shape != new[path].shape]
    assert changed
    for path in old:
        if path in changed:
            assert not np.allclose(new[path], fresh[path], atol=0.1)
        else:
            np.testing.assert_allclose(new[path], old[path], rtol=1e-5)


def test_all_misfits_are_named_and_nothing_changes():
    # Nine hidden units in the file; in the model, they are as many as the tokens.
    model, old = mixer(4, tokens_mlp_dim=16), weights_of(mixer(3, tokens_mlp_dim=9))
    before = model.get_weights()
    with pytest.raises(ValueError, match="does not fit this model") as error:
        port(dict(old), IDENTITY, model.layers, grid=(4, 4))
    for block in (0, 1):
        for weight in ("fc1/kernel", "fc1/bias"):
            assert f"that of 'block_{block}_token_{weight}' is" in str(error.value)
    old = weights_of(mixer(4))
    with pytest.raises(ValueError, match="no use for 'a'; no use for 'b'"):
        known = [(path, path, lambda array: array) for path in old]
        port({"a": np.ones(1), "b": np.ones(1)} | old, known, model.layers, grid=(4, 4))
    with pytest.raises(ValueError, match="'block_1_token_fc2/bias': Only a square grid"):
        port(old | {"block_1_token_fc2/bias": np.ones((15, 1))}, IDENTITY, model.layers, (4, 4))
    for array, weight in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, weight)


class Outer(keras.layers.Layer):
    def build(self, input_shape):
        self.inner = TokenDense(5, "relu", name="inner")
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(inputs)


def test_a_layer_inside_another_is_asked():
    layer = Outer(name="outer")
    layer.build((None, 4, 3))
    kernel = RNG.normal(size=(9, 5))
    arrays = {"outer/inner/kernel": kernel, "outer/inner/bias": np.zeros((5, 1))}
    port(arrays, IDENTITY, [layer], (2, 2))
    expected = reference_tokens(3, (2, 2)) @ kernel * 9 / 4
    np.testing.assert_allclose(layer.inner.kernel, expected, rtol=1e-5, atol=1e-6)
    assert not arrays


def test_layers_that_do_not_resample_report_the_shape():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, name="own")(inputs))
    arrays = {"own/kernel": np.ones((5, 3)), "own/bias": np.ones(3)}
    with pytest.raises(
        ValueError, match=r"its shape is \(5, 3\), that of 'own/kernel' is \(4, 3\)"
    ):
        port(arrays, IDENTITY, model.layers)
