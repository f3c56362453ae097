"""Pixels, names and the evaluation transform, against numbers that were not computed by us."""

import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, MODEL_CASES, run
from PIL import Image

import keras_shiftmlp as k
from keras_shiftmlp.checkpoints.manifest import class_names
from keras_shiftmlp.downloads import cache

PHOTOS = Path(HERE, "..", "..", "shared", "data", "imagenet_samples.tar")


def test_std_is_not_mistaken_for_variance():
    white = np.full((1, 1, 3), 255, "uint8")
    normalised = k.preprocess_input(white, "S2MLPv2Small")
    # (1 - 0.485) / 0.229 and so on, by hand.
    np.testing.assert_allclose(normalised[0, 0], [2.248908, 2.428571, 2.64], atol=1e-5)
    black = k.preprocess_input(np.zeros((1, 1, 3)), "imagenet_mean_std")
    np.testing.assert_allclose(black[0, 0], [-2.117904, -2.035714, -1.804444], atol=1e-5)


def test_mixer_goes_from_minus_one_to_one():
    ramp = np.array([0, 127.5, 255]).reshape(1, 3, 1).repeat(3, -1)
    for name in ("MixerB16", "minus_one_to_one"):
        np.testing.assert_array_equal(k.preprocess_input(ramp, name)[0, :, 0], [-1, 0, 1])
    np.testing.assert_array_equal(k.preprocess_input(ramp, "zero_to_one")[0, :, 0], [0, 0.5, 1])


def test_tensor_in_tensor_out(pixels):
    tensor = keras.ops.convert_to_tensor(pixels)
    y = k.preprocess_input(tensor, "MSMLPTiny")
    assert keras.ops.is_tensor(y)
    expected = k.preprocess_input(pixels, "MSMLPTiny")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(y), expected, atol=1e-6)


def test_a_model_without_preprocessing_still_knows_it(pixels):
    model = MODEL_CASES["s2_mlp_v2"].build(include_preprocessing=False)
    assert model.preprocessing.std == (0.229, 0.224, 0.225)
    with_it = MODEL_CASES["s2_mlp_v2"].build()
    with_it.set_weights(model.get_weights())
    prepared = k.preprocess_input(pixels, model)
    np.testing.assert_allclose(run(model, prepared), run(with_it, pixels), atol=1e-6)


def test_decode_predictions():
    predictions = np.zeros((2, 1000))
    predictions[0, [1, 0]] = 0.7, 0.3
    predictions[1, 999] = 1
    decoded = k.decode_predictions(predictions, top=2)
    assert decoded[0] == [("n01443537", "goldfish", 0.7), ("n01440764", "tench", 0.3)]
    assert decoded[1][0] == ("n15075141", "toilet_tissue", 1.0)
    named = k.decode_predictions([[0.1, 0.9]], top=1, class_names=["cat", "dog"])
    assert named == [[("1", "dog", 0.9)]]
    # Of equal scores, the first class is first.
    [equal] = k.decode_predictions(np.arange(1000)[None] % 2, class_names=list(range(1000)))
    assert [int(index) for index, _, _ in equal] == [1, 3, 5, 7, 9]
    with pytest.raises(ValueError, match=r"predictions.shape=\(1, 3\)"):
        k.decode_predictions(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"predictions.shape=\(1, 1001\)"):
        k.decode_predictions(np.zeros((1, 1001)))


# The last two resize to 259, which leaves 17.5 rows or columns on each side.
@pytest.mark.parametrize(
    "shape",
    [(300, 500), (500, 300), (256, 256), (100, 90), (257, 1000), (300, 304), (304, 300)],
)
def test_eval_transform_is_torchvisions_rule(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype("uint8")
    height, width = shape
    # Resize(256): the shorter side becomes 256, the longer int(256 * long / short).
    long = int(256 * max(shape) / min(shape))
    size = (256, long) if width < height else (long, 256)
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    expected = resized[top : top + 224, left : left + 224]
    np.testing.assert_array_equal(k.eval_transform("S2MLPv2Small")(image), expected)


def test_eval_transform_of_a_model_that_is_not_square():
    model = MODEL_CASES["s2_mlp_v2"].build(input_shape=(32, 48, 3))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
    # 32 / 0.875 = 36.6 and 48 / 0.875 = 54.9: the side of the square becomes 54.
    resized = np.asarray(Image.fromarray(image).resize((54, 54), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(k.eval_transform(model)(image), resized[11:43, 3:51])


def test_without_pillow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        k.eval_transform("MixerNano")(np.zeros((32, 32, 3), "uint8"))


def test_eval_transform_of_a_name_has_its_size():
    image = np.zeros((50, 60, 3), "uint8")
    assert k.eval_transform("MixerNano")(image).shape == (32, 32, 3)
    assert k.eval_transform("MixerB16")(image).shape == (224, 224, 3)


def test_eval_transform_takes_paths_and_grey_images(tmp_path):
    Image.new("L", (300, 260), 77).save(tmp_path / "grey.png")
    transform = k.eval_transform("zero_to_one")
    assert transform.keywords["interpolation"] == "bilinear"
    for image in (tmp_path / "grey.png", Image.open(tmp_path / "grey.png")):
        y = transform(image)
        assert y.shape == (224, 224, 3) and y.dtype == np.uint8 and (y == 77).all()


@pytest.mark.skipif(not PHOTOS.exists(), reason="the sample photos are not here")
def test_file_names_of_imagenet_agree_with_the_class_names():
    names = dict(class_names("imagenet"))
    with tarfile.open(PHOTOS) as photos:
        for member in photos.getnames():
            wordnet_id, name = Path(member).stem.split("_", 1)
            assert names[wordnet_id].lower() == name.lower()


def test_class_names_are_checked():
    model = MODEL_CASES["s2_mlp"].build()
    with pytest.raises(ValueError, match="each of the 5 classes"):
        model.class_names = ["one", "two"]
    with pytest.raises(ValueError, match="no classifier"):
        MODEL_CASES["s2_mlp"].build(include_top=False).class_names = ["one"]
    model.class_names = list("abcde")
    model.class_names = None
    assert model.class_names is None


def test_a_batch_in_0_to_1_is_warned_of_once(caplog):
    cache.warn_once.cache_clear()
    x = np.full((1, 4, 4, 3), 2.0, "float32")
    empty = [] if BACKEND == "openvino" else [x[:0]]  # OpenVINO crashes on an empty batch
    for batch in (x, keras.ops.convert_to_tensor(x), keras.KerasTensor((1, 4, 4, 3)), *empty):
        k.preprocess_input(batch, "MixerB16")
    assert not caplog.records
    for batch in (keras.ops.convert_to_tensor(x / 2.5), x / 2):
        k.preprocess_input(batch, "MixerB16")
    [record] = caplog.records
    assert record.levelname == "WARNING" and "multiply images in [0, 1] by 255" in record.message
    cache.warn_once.cache_clear()


def test_preprocess_input_can_be_traced():
    x = np.full((1, 4, 4, 3), 51.0, "float32")
    if BACKEND == "tensorflow":
        import tensorflow as tf

        y = tf.function(lambda x: k.preprocess_input(x, "zero_to_one"))(x)
    elif BACKEND == "jax":
        import jax

        y = jax.jit(lambda x: k.preprocess_input(x, "zero_to_one"))(x)
    else:
        y = k.preprocess_input(keras.ops.convert_to_tensor(x), "zero_to_one")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(y), 0.2, rtol=1e-6)
