"""`evaluate` against scikit-learn, and the images that it and a model agree on."""

import keras
import numpy as np
import pytest
from cases import once
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.training.trainer import image_size_of

pytest.importorskip("grain")
pytestmark = once
CLASSES = 10


def lookup(table, activation):
    """A model that gives row `i` of `(N, classes)` for an image whose pixels have the value `i`."""
    inputs = keras.Input((4, 4, 3))
    value = keras.layers.GlobalAveragePooling2D()(inputs)[:, :1]
    row = keras.ops.one_hot(keras.ops.cast(keras.ops.round(value[:, 0]), "int32"), len(table))
    outputs = keras.layers.Dense(
        table.shape[1], activation=activation, use_bias=False, name="predictions"
    )(row)
    model = keras.Model(inputs, outputs)
    model.layers[-1].set_weights([table])
    return model


def numbered(labels):
    """Image `i` has the value `i` everywhere."""
    pixels = np.repeat(np.arange(len(labels), dtype="uint8"), 48).reshape(-1, 4, 4, 3)
    return training.load_images((pixels, labels), [str(i) for i in range(CLASSES)])


@pytest.fixture(scope="module")
def random():
    """200 random logits `(N, classes)`, and labels."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (200, CLASSES)).astype("float32"), rng.integers(CLASSES, size=200)


@pytest.mark.parametrize("activation", ["linear", "softmax"])
def test_metrics_are_those_of_scikit_learn(random, activation):
    metrics = pytest.importorskip("sklearn.metrics")
    logits, labels = random
    result = training.evaluate(lookup(logits, activation), numbered(labels), batch_size=64)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits.astype("float64")))
    classes = range(CLASSES)
    expected = {
        f"top{k}": metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=classes)
        for k in (1, 5)
    }
    assert 0.05 < expected["top1"] < 0.2 and 0.4 < expected["top5"] < 0.6
    loss = metrics.log_loss(labels, probabilities, labels=classes)
    assert result["images"] == 200 and "predicted" not in result
    assert result["top1"] == expected["top1"] and result["top5"] == expected["top5"]
    assert result["loss"] == pytest.approx(loss, rel=1e-5)
    done = []
    again = training.evaluate(
        lookup(logits, activation),
        numbered(labels),
        batch_size=64,
        predictions=True,
        on_progress=lambda *counts: done.append(counts),
    )
    assert again["predicted"] == logits.argmax(1).tolist()
    assert done == [(64, 200), (128, 200), (192, 200), (200, 200)]


def test_top_five_has_five_places():
    """The label of image `i` has rank `i`."""
    scores = np.tile(np.arange(CLASSES, 0, -1.0), (CLASSES, 1))
    result = training.evaluate(lookup(scores, "linear"), numbered(np.arange(CLASSES)))
    assert result["top1"] == 0.1 and result["top5"] == 0.5


def test_of_equal_scores_the_lower_index_is_first():
    result = training.evaluate(
        lookup(np.zeros((CLASSES, CLASSES)), "linear"), numbered(np.arange(CLASSES))
    )
    assert result["top1"] == 0.1 and result["top5"] == 0.5
    assert result["loss"] == pytest.approx(np.log(CLASSES))


def test_scores_that_are_no_numbers_are_not_right():
    table = np.full((CLASSES, CLASSES), np.nan)
    result = training.evaluate(lookup(table, "linear"), numbered(np.full(CLASSES, 7)))
    assert result["top1"] == 0 and result["top5"] == 0 and np.isnan(result["loss"])


def test_certain_mistakes_have_a_finite_loss():
    table = np.zeros((CLASSES, CLASSES))
    table[:, 0] = 1000.0
    images = numbered(np.ones(CLASSES, int))
    logits = training.evaluate(lookup(table, "linear"), images)
    assert logits["loss"] == pytest.approx(1000)
    probabilities = training.evaluate(lookup(table, "softmax"), images)
    assert probabilities["loss"] == pytest.approx(-np.log(1e-7))


def test_fewer_than_five_classes_are_all_in_the_top_five():
    pixels = np.arange(3, dtype="uint8").repeat(48).reshape(3, 4, 4, 3)
    images = training.load_images((pixels, [0, 1, 2]))
    result = training.evaluate(lookup(np.eye(3), "linear"), images)
    assert result["top1"] == result["top5"] == 1


def framed():
    """A black picture in a white frame, and the reverse; the frame is a quarter of each side."""
    pixels = np.zeros((2, 32, 32, 3), "uint8")
    pixels[0], pixels[1, 8:24, 8:24] = 255, 255
    pixels[0, 8:24, 8:24] = 0
    return training.load_images((pixels, [0, 1]), ["dark", "bright"])


def brightness_model(size=(16, 16), activation="softmax"):
    """Two classes, dark and bright, by the mean of the pixels."""
    model = keras.Sequential(
        [
            keras.Input((*size, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation=activation, name="predictions"),
        ]
    )
    kernel = np.outer(np.ones(3), [-1, 1]) / 3
    model.layers[-1].set_weights([kernel, np.array([127.5, -127.5])])
    return model


def test_evaluation_cuts_the_border_off():
    [(x, y, weights)] = training.evaluation_batches(framed(), 16, batch_size=2, crop_fraction=0.5)
    np.testing.assert_array_equal(x[0], 0)
    np.testing.assert_array_equal(x[1], 255)
    assert y.argmax(1).tolist() == [0, 1] and weights.tolist() == [1, 1]
    [(x, _, _)] = training.evaluation_batches(framed(), 16, batch_size=2)
    assert (x[0, 0] == 255).all() and (x[0, 8, 8] == 0).all() and (x[1, 0] == 0).all()
    # Three quarters of each picture are its frame, so the frame decides where it is seen.
    model = brightness_model()
    assert training.evaluate(model, framed(), crop_fraction=0.5)["top1"] == 1
    assert training.evaluate(model, framed(), crop_fraction=1.0)["top1"] == 0


@pytest.mark.parametrize("size", [20, (20, 30), (30, 20)])
def test_evaluation_resizes_as_pillow_does(size):
    height, width = (size, size) if isinstance(size, int) else size
    noise = np.random.default_rng(0).integers(0, 256, (1, 90, 90, 3)).astype("uint8")
    images = training.load_images((noise, [0]))
    [(x, _, _)] = training.evaluation_batches(images, size, batch_size=1, crop_fraction=0.625)
    ratio = height / width
    cut = (90, round(90 * ratio)) if ratio < 1 else (round(90 / ratio), 90)  # width, height
    left, top = (90 - cut[0]) / 2, (90 - cut[1]) / 2
    whole = (int(width / 0.625), int(height / 0.625))
    box = (left, top, left + cut[0], top + cut[1])
    resized = Image.fromarray(noise[0]).resize(whole, Image.Resampling.BICUBIC, box)
    left, top = round((whole[0] - width) / 2), round((whole[1] - height) / 2)
    expected = np.asarray(resized)[top : top + height, left : left + width]
    assert x.shape == (1, height, width, 3)
    np.testing.assert_allclose(x[0], expected, atol=1.01)


def test_evaluation_repeats_its_passes():
    dataset = training.evaluation_batches(framed(), 16, batch_size=2, passes=3)
    assert [y.argmax(1).tolist() for _, y, _ in dataset] == [[0, 1]] * 3


def test_evaluation_is_antialiased():
    """Without it, each column would be one of the two values of the stripes."""
    stripes = np.zeros((2, 64, 64, 3), "uint8")
    stripes[:, :, ::2] = 255
    images = training.load_images((stripes, [0, 1]))
    [(x, _, _)] = training.evaluation_batches(images, 16, batch_size=2)
    assert np.abs(x[:, :, 1:-1] - 127.5).max() < 2


def test_bad_evaluation_is_refused():
    for value in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match=rf"\(0, 1\]. Received: `crop_fraction={value}`"):
            training.evaluation_batches(framed(), 16, batch_size=2, crop_fraction=value)


SMALL = dict(patch_sizes=(4, 2), dims=(8, 16), depths=(1, 1), classes=2)


@pytest.mark.parametrize("shape", [(56, 56), (48, 64), (64, 48)])
def test_the_transform_of_a_model_makes_its_images(shape):
    model = keras_shiftmlp.S2MLPv2(**SMALL, input_shape=(*shape, 3))
    assert model.image_size == shape
    assert model.preprocessing.image_size == (shape[0] if shape[0] == shape[1] else 224)
    assert keras.models.clone_model(model).image_size == shape
    transform = keras_shiftmlp.eval_transform(model)
    for size in ((300, 500), (500, 300), (56, 56), (30, 200), shape):
        pixels = transform(np.zeros((*size, 3), "uint8"))
        assert pixels.shape == (*shape, 3)
        assert model.predict(pixels[None], verbose=0).shape == (1, 2)


def test_an_open_size_is_the_one_that_was_trained_on():
    model = keras_shiftmlp.S2MLPv2(**SMALL, input_shape=(None, None, 3))
    assert model.image_size == (224, 224)
    half = keras_shiftmlp.S2MLPv2(**SMALL, input_shape=(None, 64, 3))
    assert half.image_size == (224, 64)
    assert keras_shiftmlp.eval_transform(half)(np.zeros((9, 9, 3), "uint8")).shape == (224, 64, 3)
    unknown = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    with pytest.raises(ValueError, match=r"known height and width.*\(None, None, None, 3\)"):
        image_size_of(unknown)


@pytest.mark.parametrize("size", [(100, 400), (400, 100), (210, 280)])
def test_the_transform_keeps_the_ratio_and_cuts_the_centre(size):
    """Against Pillow on a box: the box of the source that the crop shows."""
    model = keras_shiftmlp.S2MLPv2(**SMALL, input_shape=(56, 84, 3))
    rows, columns = np.mgrid[: size[0], : size[1]]
    ramp = np.stack([rows / size[0], columns / size[1], 0 * rows], -1)
    pixels = keras_shiftmlp.eval_transform(model)((255 * ramp).astype("uint8"))
    # 56 x 84 is 0.875 of 64 x 96; the image is made as small as covers these.
    scale = max(64 / size[0], 96 / size[1])
    for axis, channel, side in ((0, 0, 56), (1, 1, 84)):
        shown = side / (scale * size[axis])
        values = pixels[..., channel].mean(1 - axis) / 255
        assert np.ptp(values) == pytest.approx(shown * (side - 1) / side, abs=0.02)
        assert values.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["bicubic", "bilinear"])
def test_the_transform_has_the_interpolation_of_the_checkpoint(name):
    model = keras_shiftmlp.S2MLPv2(**SMALL, input_shape=(28, 28, 3))
    model.preprocessing.interpolation = name
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype("uint8")
    resized = Image.fromarray(noise).resize((32, 32), getattr(Image.Resampling, name.upper()))
    expected = np.asarray(resized)[2:30, 2:30]
    np.testing.assert_array_equal(keras_shiftmlp.eval_transform(model)(noise), expected)


def test_evaluation_takes_models_that_are_not_square():
    model = keras_shiftmlp.S2MLPv2(**SMALL, input_shape=(16, 24, 3))
    images = training.load_images((np.zeros((3, 20, 20, 3), "uint8"), [0, 1, 1]))
    assert images.resized((16, 24)).source.shape == (3, 16, 24, 3)
    assert training.evaluate(model, images)["images"] == 3
