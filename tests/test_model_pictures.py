"""Pictures of layers and models, by the data in their figures."""

import keras
import numpy as np
import pytest
from cases import MODEL_CASES, TRAINS, once, run

import keras_shiftmlp
from keras_shiftmlp import visualization
from keras_shiftmlp.layers import MixShift, SpatialShift
from keras_shiftmlp.visualization import receptive_fields
from keras_shiftmlp.visualization._gradients import gradient

pytest.importorskip("matplotlib")
with_gradients = pytest.mark.skipif(not TRAINS, reason="the backend has no gradients")


def small_model():
    return keras_shiftmlp.S2MLPv2(
        patch_sizes=(4, 2), dims=(8, 12), depths=(1, 1), input_shape=(16, 24, 3), classes=5
    )


@pytest.fixture
def photo():
    return np.random.default_rng(0).uniform(0, 255, (16, 24, 3)).astype("float32")


def array(axis):
    return np.asarray(axis.images[-1].get_array())


@once
def test_spatial_shift_shows_the_source_of_each_position():
    figure = visualization.plot_spatial_shift(["e", "j"], shape=(2, 3))
    grids = [array(axis).tolist() for axis in figure.axes]
    assert grids == [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [0, 1, 2]],  # (e) down
        [[3, 4, 5], [3, 4, 5]],  # up
        [[0, 0, 1], [3, 3, 4]],  # (j) right
    ]
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["input", "(e)\ngroup 1 ↓", "group 2 ↑", "(j)\ngroup 1 →"]
    assert figure.axes[0].get_gridspec().ncols == 5  # the input and the groups of (a)
    letters = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert letters[0] == list("ABCDEF") and letters[1] == list("ABCABC")
    # A colour means the same position everywhere. Only what did not move has a frame.
    assert {axis.images[0].get_clim() for axis in figure.axes} == {(0, 5)}
    frames = [[patch.get_xy() for patch in axis.patches] for axis in figure.axes]
    assert [len(of_axis) for of_axis in frames] == [0, 3, 3, 2]
    np.testing.assert_allclose(frames[3], [(-0.35, -0.35), (-0.35, 0.65)])
    frame = figure.axes[3].patches[0]
    assert not frame.get_fill()  # the letter stays visible
    assert (frame.get_width(), frame.get_height()) == (0.7, 0.7)
    assert {(x.get_ha(), x.get_va()) for x in figure.axes[1].texts} == {("center", "center")}
    # Letters are bright where the map is dark.
    assert [text.get_color() for text in figure.axes[0].texts] == ["white"] * 4 + ["black"] * 2


@once
def test_spatial_shift_orders_swap_the_axes():
    figure = visualization.plot_spatial_shift("a", ("hw", "wh"))
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes[1:]]
    assert titles == [
        "(a), hw group 1 ↓", "group 2 ↑", "group 3 →", "group 4 ←",
        "(a), wh group 1 →", "group 2 ←", "group 3 ↓", "group 4 ↑",
    ]  # fmt: skip
    np.testing.assert_array_equal(array(figure.axes[1]), array(figure.axes[7]))


@once
def test_every_setting_has_its_groups():
    assert len(visualization.plot_spatial_shift().axes) == 1 + 4 + 8 + 4 * 2 + 4


@once
def test_mix_shift_shows_what_each_group_reads():
    from matplotlib.colors import to_hex

    figure = visualization.plot_mix_shift((1, 3), (-1, 1), shape=(5, 7))
    # A shift of -1 moves content left and up: the output reads right and below.
    still = np.zeros((5, 7))
    still[2, 4], still[3, 3] = 1, 2
    regional = np.zeros((5, 7), int)
    regional[1:4, 1:4] |= 1
    regional[0:3, 2:5] |= 2
    np.testing.assert_array_equal(array(figure.axes[0]), still)
    np.testing.assert_array_equal(array(figure.axes[1]), regional)
    np.testing.assert_array_equal(array(figure.axes[2]), regional | still.astype(int))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["1 × 1, shift −1", "3 × 3, shift +1", "all groups"]
    [legend] = figure.legends
    colors = [to_hex(patch.get_facecolor()) for patch in legend.get_patches()]
    image = figure.axes[0].images[0]
    shown = [to_hex(image.cmap(image.norm(value))) for value in (1, 2, 3)]
    assert colors == shown
    # The lines of the grid are between the cells, and none is beside the map.
    for axis in figure.axes:
        np.testing.assert_array_equal(axis.get_xticks(), np.arange(8) - 0.5)
        np.testing.assert_array_equal(axis.get_yticks(), np.arange(6) - 0.5)
        assert axis.get_xlim() == (-0.5, 6.5) and axis.get_ylim() == (4.5, -0.5)


@once
def test_mix_shift_wraps_around():
    [axis, _] = visualization.plot_mix_shift((1,), (2,), shape=(3, 3)).axes
    assert array(axis).tolist() == [[0, 0, 0], [0, 0, 1], [0, 2, 0]]


@once
def test_mix_shift_kernels_lie_where_the_layer_reads():
    model = MODEL_CASES["ms_mlp"].build()
    figure = visualization.plot_mix_shift_kernels(model, block=-1, channels=2)
    layer = [x for x in model.layers if isinstance(x, MixShift)][-1]
    groups, side = len(layer.kernel_sizes), array(figure.axes[0]).shape[0]
    assert len(figure.axes) == groups * 4
    for axis in figure.axes:  # zero is white
        low, high = axis.images[0].get_clim()
        assert low == -high < 0
    # The output in the centre, of the image that is one at this position alone.
    impulses = np.eye(side * side, dtype="float32").reshape(-1, side, side, 1)
    impulses = np.repeat(impulses, sum(layer.group_sizes), axis=-1)
    zeros = np.zeros_like(impulses[:1])
    y = np.asarray(layer(impulses)) - np.asarray(layer(zeros))
    y = y[:, side // 2, side // 2].reshape(side, side, -1)
    windows = np.nan_to_num([array(axis) for axis in figure.axes]).reshape(groups, 2, 2, side, side)
    # No larger than the farthest position that a group reads.
    assert windows[..., [0, -1], :].any() or windows[..., [0, -1]].any()
    for g in range(groups):
        first = sum(layer.group_sizes[:g])
        for channel in range(2):
            both = windows[g, :, channel].sum(axis=0)
            np.testing.assert_allclose(both, y[..., first + channel], atol=1e-6)


@once
def test_token_mixing_shows_the_strongest_units_as_grids():
    model = MODEL_CASES["mixer"].build()
    figure = visualization.plot_token_mixing(model, blocks=[-1], units=5)
    fc1 = [x for x in model.layers if x.name.endswith("token_fc1")][-1]
    kernel = np.asarray(fc1.kernel)
    _, height, width, _ = model.get_layer("map").output.shape
    assert height != width and len(figure.axes) == 5
    norms = np.linalg.norm(kernel, axis=0)
    for axis, unit in zip(figure.axes, np.argsort(-norms)):
        np.testing.assert_array_equal(array(axis).ravel(), kernel[:, unit])
        assert array(axis).shape == (height, width)
        low, high = axis.images[0].get_clim()
        assert low == -high == -np.abs(kernel[:, unit]).max()
    shown = kernel[:, np.argsort(-norms)[:5]]
    assert (shown.max(0) > -shown.min(0)).any() and (shown.max(0) < -shown.min(0)).any()


def test_split_attention_weighs_three_branches(pixels):
    from matplotlib.colors import to_rgb

    model = MODEL_CASES["s2_mlp_v2"].build()
    # The split attention of the first block sees nothing, so it treats the branches alike.
    kernel = model.get_layer("stage_0_block_0_spatial").attention.fc1.kernel
    kernel.assign(np.zeros(kernel.shape))
    figure = visualization.plot_split_attention(model, pixels[0])
    picture, *axes = figure.axes
    np.testing.assert_array_equal(array(picture), pixels[0].astype("uint8"))
    lines = np.array([axis.lines[0].get_ydata() for axis in axes])
    assert lines.shape == (3, 3)  # branches, blocks
    np.testing.assert_allclose(lines[:, 0], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(lines.sum(axis=0), 1, atol=1e-5)
    assert not (*picture.get_xticks(), *picture.get_yticks())
    for axis in axes:  # a band in the colour of the line, which it does not hide
        [band], line = axis.collections, axis.lines[0]
        assert band.get_alpha() < 0.5
        np.testing.assert_allclose(band.get_facecolor()[0, :3], to_rgb(line.get_color()))


@once
def test_split_attention_is_that_of_the_layer(pixels):
    model = MODEL_CASES["s2_mlp_v2"].build()
    layer = model.get_layer("stage_0_block_0_spatial")
    for dense in (layer.attention.fc1, layer.attention.fc2):
        dense.kernel.assign(20 * dense.kernel)  # so that the branches differ
    x = np.asarray(keras.Model(model.input, layer.input)(pixels[:1]))
    v = x @ np.asarray(layer.expand.kernel) + np.asarray(layer.expand.bias)
    branches = [np.asarray(layer.shift1(v[..., :16])), np.asarray(layer.shift2(v[..., 16:32]))]
    pooled = sum(branch.sum(axis=(1, 2)) for branch in [*branches, v[..., 32:]])
    hidden = keras.ops.gelu(pooled @ np.asarray(layer.attention.fc1.kernel), approximate=False)
    z = (hidden @ np.asarray(layer.attention.fc2.kernel)).reshape(3, 16)
    weights = np.exp(z) / np.exp(z).sum(axis=0)
    axes = visualization.plot_split_attention(model, pixels[0]).axes[1:]
    drawn = [axis.lines[0].get_ydata()[0] for axis in axes]
    np.testing.assert_allclose(drawn, weights.mean(axis=1), rtol=1e-4)
    assert np.ptp(drawn) > 0.1


@pytest.fixture
def dropping_model():
    """Half of its branches are dropped in training."""
    return MODEL_CASES["s2_mlp_v2"].build(drop_path_rate=0.5, classifier_activation=None)


@with_gradients
def test_gradient_by_the_image_is_the_slope_in_inference_mode(dropping_model, pixels):
    weights = dropping_model.get_weights()
    rng = np.random.default_rng(0)
    cotangents = rng.standard_normal((2, 5)).astype("float32")
    direction = rng.standard_normal(pixels.shape).astype("float32")
    slopes = gradient(dropping_model, pixels, cotangents)
    below, above = (run(dropping_model, pixels + step * direction) for step in (-2, 2))
    expected = np.sum(cotangents * (above - below)) / 4
    assert np.sum(slopes * direction) == pytest.approx(expected, rel=1e-2)
    # The model is as it was.
    assert all(np.array_equal(x, y) for x, y in zip(weights, dropping_model.get_weights()))
    assert all(layer.trainable for layer in dropping_model.layers)


@with_gradients
def test_gradient_by_a_layer_inside_a_branch(dropping_model, pixels):
    rng = np.random.default_rng(0)
    cotangents = rng.standard_normal((2, 5)).astype("float32")
    slopes = gradient(dropping_model, pixels, cotangents, "stage_0_block_0_channel_fc1")
    fc2 = dropping_model.get_layer("stage_0_block_0_channel_fc2")
    kernel = keras.ops.convert_to_numpy(fc2.kernel)
    direction = rng.standard_normal(len(kernel)).astype("float32")
    ends = []
    for step in (-0.01, 0.01):
        # A step of `fc1` at all positions is a step of the bias after it.
        fc2.bias.assign(step * direction @ kernel)
        ends.append(run(dropping_model, pixels))
    expected = np.sum(cotangents * (ends[1] - ends[0])) / 0.02
    assert np.sum(slopes * direction) == pytest.approx(expected, rel=1e-2)


@pytest.mark.skipif(TRAINS, reason="the backend has gradients")
def test_no_gradients_without_training():
    with pytest.raises(RuntimeError, match="Gradients need TensorFlow, JAX or PyTorch"):
        visualization.effective_receptive_field(MODEL_CASES["s2_mlp"].build())


def shift_model(setting="a", channels=4):
    inputs = keras.Input((5, 8, channels))
    return keras.Model(inputs, SpatialShift(setting, name="shift")(inputs))


@with_gradients
def test_receptive_field_of_a_shift_is_its_neighbours():
    field = visualization.effective_receptive_field(shift_model(), position=(2, 5), samples=3)
    assert np.argwhere(field).tolist() == [[1, 5], [2, 4], [2, 6], [3, 5]]
    # One channel each: the root mean square of three normal numbers.
    rng = np.random.default_rng(0)
    rng.uniform(0, 255, (3, 5, 8, 4))
    down, up, right, left = np.sqrt(np.mean(rng.standard_normal((3, 4)) ** 2, axis=0))
    expected = [down, right, left, up]
    np.testing.assert_allclose(field[field > 0], expected, rtol=1e-5)
    corner = visualization.effective_receptive_field(shift_model(), position=(0, 0), samples=1)
    assert np.argwhere(corner).tolist() == [[0, 0], [0, 1], [1, 0]]
    for position in [(-1, 0), (5, 0), (0, -1), (0, 8), (0, 9)]:
        with pytest.raises(ValueError, match="must lie in the 5 x 8 map"):
            visualization.effective_receptive_field(shift_model(), position=position)


@with_gradients
def test_receptive_field_of_tokens():
    model = MODEL_CASES["mixer"].build()
    last = [x.name for x in model.layers if x.name.endswith("channel_add")][-1]
    of_tokens = visualization.effective_receptive_field(model, last, samples=1)
    assert of_tokens.shape == (32, 48) and of_tokens.min() > 0


@with_gradients
def test_receptive_field_is_drawn_as_shares_of_its_maximum():
    model = small_model()
    axis, bar = visualization.plot_receptive_fields({"one": model}, [-1], samples=1).axes
    last = "stage_1_block_0_channel_add"
    field = visualization.effective_receptive_field(model, last, samples=1)
    assert field.shape == (16, 24)
    np.testing.assert_allclose(array(axis), np.maximum(field / field.max(), 1e-3), rtol=1e-4)
    # The frame is the patch of the output: row 1 of 2 and column 1 of 3, 8 pixels each.
    [frame] = axis.patches
    assert not frame.get_fill()
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (7.5, 7.5, 8, 8)
    assert bar.get_ylabel() == "gradient, share of the largest"


@once
def test_receptive_fields_have_a_column_per_model_and_a_row_per_depth(monkeypatch, models):
    def constant(part, images, cotangents):
        assert 0 <= images.min() < 2 and 253 < images.max() <= 255
        return np.full(images.shape, len(part.layers))

    monkeypatch.setattr(receptive_fields, "gradient", constant)
    both = {"one": small_model(), "two": models["mixer"]}
    figure = visualization.plot_receptive_fields(both, blocks=[0, -1])
    assert [axis.get_title() for axis in figure.axes[:-1]] == [
        "one\nafter block 1", "two\nafter block 1", "one\nafter block 2", "two\nafter block 2",
    ]  # fmt: skip
    shapes = [array(axis).shape for axis in figure.axes[:-1]]
    assert shapes == [(16, 24), (32, 48)] * 2
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (2, 2)
    wrapped = visualization.plot_receptive_fields(both, blocks=[0, -1], columns=3)
    grid = wrapped.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols, len(wrapped.axes)) == (2, 3, 5)  # with the colour bar
    deep = visualization.plot_receptive_fields({"three": MODEL_CASES["gfnet"].build()})
    titles = [axis.get_title() for axis in deep.axes[:-1]]
    assert titles == ["three\nafter block 1", "three\nafter block 3"]


@with_gradients
def test_grad_cam_of_the_last_map_is_the_class_activation_map(photo, capsys):
    """The mean and a dense layer follow the map: the slope is the same at all positions."""
    model = small_model()
    features = run(keras.Model(model.input, model.get_layer("P3").output), photo[None])[0]
    kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)
    best = run(model, photo[None]).argmax()
    for index in (None, 0, (best + 1) % 5):
        column = kernel[:, best if index is None else index]
        expected = np.maximum(0, features @ column) / (2 * 3)
        found = visualization.grad_cam(model, photo, index)
        np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    assert capsys.readouterr() == ("", "")  # no bar of progress


@with_gradients
def test_grad_cam_of_tokens_is_a_map(pixels):
    model = MODEL_CASES["mixer"].build()
    kernel = np.random.default_rng(0).standard_normal((20, 5)).astype("float32")
    model.layers[-1].kernel.assign(kernel)  # it starts at zero
    _, height, width, _ = model.get_layer("map").output.shape
    tokens = run(keras.Model(model.input, model.get_layer("norm").output), pixels[:1])[0]
    expected = np.maximum(0, tokens @ kernel[:, 2]).reshape(height, width) / (height * width)
    found = visualization.grad_cam(model, pixels[0], 2, "norm")
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


@with_gradients
def test_grad_cam_is_drawn_over_the_image(photo):
    model = small_model()
    model.class_names = "abcde"
    scores = run(model, photo[None])[0]
    figure = visualization.plot_grad_cam(model, photo, classes=1)
    picture, axis = figure.axes
    best = int(scores.argmax())
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["image", f"{'abcde'[best]} ({scores[best]:.0%})"]
    np.testing.assert_array_equal(array(picture), photo.astype("uint8"))
    cam = visualization.grad_cam(model, photo, best)
    np.testing.assert_allclose(array(axis), cam / cam.max(), atol=1e-5)
    # The map covers the image, which is not square.
    assert axis.images[0].get_extent() == axis.images[1].get_extent()


BAD_CALLS = {
    "no S2Attention": lambda m, x: visualization.plot_split_attention(m["mixer"], x),
    "no MixShift": lambda m, x: visualization.plot_mix_shift_kernels(m["mixer"]),
    "no TokenDense": lambda m, x: visualization.plot_token_mixing(m["s2_mlp_v2"]),
    "no block": lambda m, x: visualization.plot_mix_shift_kernels(m["ms_mlp"], block=99),
    "no blocks": lambda m, x: visualization.plot_receptive_fields({"a": m["ms_mlp"]}, [-99]),
    "no models": lambda m, x: visualization.plot_receptive_fields({}),
    "no token block": lambda m, x: visualization.plot_token_mixing(m["mixer"], [99]),
    "image size": lambda m, x: visualization.plot_split_attention(m["s2_mlp_v2"], x[:-1]),
    "rank": lambda m, x: visualization.grad_cam(m["mixer"], x[..., None]),
    "batch": lambda m, x: visualization.grad_cam(m["mixer"], x[None]),
    "class": lambda m, x: visualization.grad_cam(m["mixer"], x, 5),
    "layer": lambda m, x: visualization.grad_cam(m["mixer"], x, 1, "none"),
    "position": lambda m, x: visualization.effective_receptive_field(
        m["mixer"], position=(99, 0)
    ),
    "open size": lambda m, x: visualization.effective_receptive_field(m["open"]),
    "no head": lambda m, x: visualization.grad_cam(m["open"], x),
}  # fmt: skip


@pytest.fixture(scope="module")
def models():
    cases = {name: MODEL_CASES[name].build() for name in ("mixer", "ms_mlp", "s2_mlp_v2")}
    cases["open"] = MODEL_CASES["s2_mlp"].build(include_top=False, input_shape=(None, None, 3))
    return cases


@once
@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_name_the_argument(name, models, pixels):
    with pytest.raises(ValueError, match=r"`.*Received: "):
        BAD_CALLS[name](models, pixels[0])


@once
def test_a_layer_that_is_not_there_is_answered_with_the_last_one(models, pixels):
    with pytest.raises(ValueError, match=r"such as 'predictions'.*`layer='nowhere'`"):
        visualization.grad_cam(models["mixer"], pixels[0], layer="nowhere")


@once
def test_a_block_that_is_not_there_is_answered_with_those_that_are(models):
    with pytest.raises(ValueError, match=r"`blocks` must be from -2 to 1 .*`blocks=2`"):
        visualization.plot_token_mixing(models["mixer"], [0, 2])


@once
def test_an_image_may_be_a_path(tmp_path, models, pixels):
    from PIL import Image

    Image.fromarray(pixels[0].astype("uint8")).resize((200, 100)).save(tmp_path / "photo.png")
    figure = visualization.plot_split_attention(models["s2_mlp_v2"], tmp_path / "photo.png")
    assert array(figure.axes[0]).shape == (32, 48, 3)


@once
def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, models):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        visualization.plot_token_mixing(models["mixer"], [0])
