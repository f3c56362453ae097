"""The checks that keras.applications runs on its own models, over every family.

They look at shapes and activations of networks that are only built, so one backend is enough.
"""

import keras
import pytest
from cases import MODEL_CASES, once

pytestmark = once

# Where a family differs from keras.applications: it does not take the size that the check asks for.
NEEDS_A_KNOWN_SIZE = {name for name, case in MODEL_CASES.items() if not case.any_size}
# sMLPNet takes multiples of its patch, ViP one size.
REFUSES = {name for name in MODEL_CASES if name.startswith(("vip", "smlp_net"))}
CUSTOM = (123, 134)


@pytest.fixture(params=MODEL_CASES)
def name(request):
    return request.param


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_without_the_top_any_number_of_channels(name, channels):
    case = MODEL_CASES[name]
    sides = case.input_shape[:2] if name in NEEDS_A_KNOWN_SIZE else (None, None)
    model = case.build(include_top=False, input_shape=(*sides, channels))
    *found, last = model.output_shape[1:]
    assert last == case.map_shape[-1]
    assert found == ([*case.map_shape[:2]] if name in NEEDS_A_KNOWN_SIZE else [None, None])


def test_without_the_top_a_shape_of_ones_own(name):
    case = MODEL_CASES[name]
    build = lambda: case.build(include_top=False, input_shape=(*CUSTOM, 3))  # noqa: E731
    if name in REFUSES:
        with pytest.raises(ValueError, match="`input_shape"):
            build()
    else:
        model = build()
        assert model.input_shape == (None, *CUSTOM, 3)
        assert model.output_shape[-1] == case.map_shape[-1] and None not in model.output_shape[1:]


def test_without_the_top_a_tensor_of_ones_own(name):
    case = MODEL_CASES[name]
    image = keras.Input(case.input_shape)
    model = case.build(include_top=False, input_tensor=image, input_shape=None)
    assert model.inputs[0] is image and model.output_shape == (None, *case.map_shape)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_pooling_returns_a_vector(name, pooling):
    case = MODEL_CASES[name]
    model = case.build(include_top=False, pooling=pooling)
    assert model.output_shape == (None, case.map_shape[-1])


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_the_activation_is_that_of_the_last_layer(name, activation):
    model = MODEL_CASES[name].build(classifier_activation=activation)
    assert model.layers[-1].activation is keras.activations.get(activation)
    assert model.output_shape == (None, 5)


def test_unknown_weights_and_pretrained_classes_are_refused(name):
    case = MODEL_CASES[name]
    with pytest.raises(ValueError, match="`weights='no_such_tag'`"):
        case.build(weights="no_such_tag")
    with pytest.raises(ValueError, match="`classes=0`"):
        case.build(classes=0)
