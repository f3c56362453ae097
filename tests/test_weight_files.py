"""`weights="....weights.h5"`: the right layers or an error, never a silent misload."""

import logging

import h5py
import keras
import numpy as np
import pytest
from cases import MODEL_CASES, run


@pytest.fixture
def saved(case, tmp_path):
    model = case.build()
    path = tmp_path / "body.weights.h5"
    model.save_weights(path)
    return model, path


def test_classes_come_from_the_file(case, saved, pixels):
    model, path = saved
    again = case.build(weights=path, classes=None, name="another_name")
    assert again.name == "another_name"
    np.testing.assert_array_equal(run(again, pixels), run(model, pixels))


def test_other_classes_keep_the_body_and_say_so(case, saved, caplog):
    model, path = saved
    with caplog.at_level(logging.WARNING, "keras_shiftmlp"):
        again = case.build(weights=str(path), classes=7)
    [record] = caplog.records
    assert "fresh head of 7 classes" in record.getMessage()
    assert again.output_shape == (None, 7)
    for old, new in zip(model.get_weights()[:-2], again.get_weights()[:-2]):
        np.testing.assert_array_equal(old, new)


def test_the_same_file_serves_without_the_top(case, saved, pixels):
    model, path = saved
    for pooling in (None, "avg"):
        body = case.build(weights=path, include_top=False, pooling=pooling)
        other = keras.Model(model.input, model.get_layer(body.layers[-1].name).output)
        np.testing.assert_allclose(run(body, pixels), run(other, pixels), atol=1e-6)


def test_layers_of_ones_own_are_left_alone(case, saved, pixels):
    """Keras itself would load the stem's weights into the first convolution it meets."""
    model, path = saved
    image = keras.Input((32, 48, 3))
    own = keras.layers.Conv2D(3, 1, kernel_initializer="ones", name="own")
    again = case.build(weights=path, input_tensor=own(image), input_shape=None)
    np.testing.assert_array_equal(own.get_weights()[0], np.ones((1, 1, 3, 3)))
    image_sum = np.repeat(pixels.sum(-1, keepdims=True), 3, -1)
    np.testing.assert_allclose(run(again, pixels), run(model, image_sum), atol=1e-5)


def test_drop_path_and_dropout_do_not_matter(case, saved, pixels):
    model, path = saved
    again = case.build(weights=path, drop_path_rate=0.3, dropout_rate=0.2)
    np.testing.assert_array_equal(run(again, pixels), run(model, pixels))
    again.save_weights(path)
    np.testing.assert_array_equal(run(case.build(weights=path), pixels), run(model, pixels))


def test_half_precision_files(case, pixels, tmp_path):
    model = case.build(dtype="bfloat16")
    model.save_weights(tmp_path / "half.weights.h5")
    again = case.build(weights=tmp_path / "half.weights.h5")
    for old, new in zip(model.weights, again.weights):
        expected = keras.ops.convert_to_numpy(keras.ops.cast(old, "float32"))
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(new), expected)


def test_a_body_needs_to_be_told_the_classes(case, tmp_path):
    path = tmp_path / "body.weights.h5"
    case.build(include_top=False, pooling="avg").save_weights(path)
    assert case.build(weights=path, classes=3).output_shape == (None, 3)
    with pytest.raises(ValueError, match="`classes` must say"):
        case.build(weights=path, classes=None)


def test_pretrained_head_takes_softmax_or_nothing(case, saved):
    _, path = saved
    case.build(weights=path, classifier_activation=None)
    case.build(weights=path, classifier_activation="sigmoid", classes=9)
    with pytest.raises(ValueError, match="pretrained head"):
        case.build(weights=path, classifier_activation="sigmoid")


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "file.weights.h5"
    MODEL_CASES["s2_mlp"].build().save_weights(path)
    with pytest.raises(ValueError, match=r"In the file only: .*block_0_spatial_fc1"):
        MODEL_CASES["s2_mlp_v2"].build(weights=path)
    with pytest.raises(ValueError, match=r"stem/kernel is \(8, 8, 3, 24\), the file's"):
        MODEL_CASES["s2_mlp"].build(weights=path, **{"dim": 24})


def test_broken_files_are_refused(case, saved, tmp_path):
    _, path = saved
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"Received: `(path|weights)="):
        case.build(weights=broken)
    broken.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"Received: `(path|weights)="):
        case.build(weights=broken)
    with h5py.File(path, "a") as file:
        group = next(g for g in file["layers"].values() if g["vars"].attrs["name"] == "predictions")
        del group["vars"]["1"]
    with pytest.raises(ValueError, match="predictions has 2 weights, the file 1"):
        case.build(weights=path)
