"""Properties of every constructor, tested on tiny networks of each family."""

import inspect
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from cases import (
    BACKEND,
    FAMILIES,
    HERE,
    JIT,
    MODEL_CASES,
    SAMPLE,
    all_on_numpy,
    all_on_tensorflow,
    all_on_torch,
    once,
    once_on_torch,
    one_block_per_stage,
    run,
    run_jitted,
    trains,
)

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.kernels import device

to_numpy = keras.ops.convert_to_numpy
FREE = {name: case for name, case in MODEL_CASES.items() if case.any_size}


@all_on_numpy
def test_top_gives_probabilities_in_float32(model, outputs):
    assert outputs.shape == (2, 5) and outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(1), 1, atol=1e-5)
    assert model.layers[-1].name == "predictions"


@all_on_numpy
def test_uint8_and_float_pixels_are_the_same(model, pixels):
    whole = pixels.round()
    expected = model.predict(whole, verbose=0)
    np.testing.assert_array_equal(model.predict(whole.astype("uint8"), verbose=0), expected)


@once
def test_without_the_top(case, model, pixels):
    assert case.build(include_top=False).output_shape == (None, *case.map_shape)
    largest = case.build(include_top=False, pooling="max")
    avg = case.build(include_top=False, pooling="avg")
    for pooled in (largest, avg):
        assert pooled.output_shape == (None, case.map_shape[-1])
    avg.set_weights(model.get_weights()[:-2])
    seen = keras.Model(model.input, model.layers[-1].input)
    np.testing.assert_allclose(run(avg, pixels), run(seen, pixels), atol=1e-6)


@once
def test_preprocessing_inside_is_preprocess_input_outside(case, model, pixels, outputs):
    outside = case.build(include_preprocessing=False)
    outside.set_weights(model.get_weights())
    prepared = keras_shiftmlp.preprocess_input(pixels, model)
    np.testing.assert_allclose(run(outside, prepared), outputs, atol=1e-6)


def test_keras_files_open_in_a_fresh_process(pixels, tmp_path):
    """All families in one new process, since each start takes seconds."""
    models = {}
    for name in MODEL_CASES if BACKEND == "numpy" else SAMPLE:
        models[name] = MODEL_CASES[name].build(drop_path_rate=0.2, dropout_rate=0.1)
        models[name].class_names = "abcde"
        models[name].save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "pixels.npy", pixels)
    code = """if True:
        import sys
        import keras_shiftmlp
        assert "keras" not in sys.modules
        import json, keras, numpy as np
        tests, folder, *names = sys.argv[1:]
        backend = keras.backend.backend()
        if backend == "openvino":
            sys.path.insert(0, tests)
            import openvino_float32
        pixels = np.load(folder + "/pixels.npy")
        facts = {}
        for name in names:
            model = keras.models.load_model(f"{folder}/{name}.keras")
            if backend in ("jax", "openvino"):
                there = model.predict(pixels, verbose=0)
            else:
                there = keras.ops.convert_to_numpy(model(pixels))
            np.save(f"{folder}/{name}.npy", there)
            facts[name] = [type(model).__name__, model.class_names, model.preprocessing.mean,
                           list(model.pyramid_outputs), model.name]
        print(json.dumps(facts))
    """
    out = subprocess.run(
        [sys.executable, "-c", code, HERE, tmp_path, *models],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    facts = json.loads(out.splitlines()[-1])
    for name, model in models.items():
        mean, levels = list(model.preprocessing.mean), list(MODEL_CASES[name].levels)
        assert facts[name] == ["ImageModel", list("abcde"), mean, levels, model.name]
        there = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(there, run(model, pixels), atol=1e-6)


@once
def test_clone_and_submodel(case, model, pixels, outputs):
    named = case.build()
    named.class_names = "abcde"
    clone = keras.models.clone_model(named)
    clone.set_weights(model.get_weights())
    assert type(clone) is keras_shiftmlp.ImageModel
    assert clone.class_names == tuple("abcde")
    assert clone.pyramid_level_inputs == model.pyramid_level_inputs
    np.testing.assert_allclose(run(clone, pixels), outputs, atol=1e-6)
    level = keras.models.Model(model.input, model.get_layer(case.levels[-1]).output)
    assert level.output_shape == (None, *case.map_shape)
    config = keras_shiftmlp.ImageModel.from_config(model.get_config())
    assert config.preprocessing.get_config() == model.preprocessing.get_config()


@once
def test_pyramid(case, model):
    assert tuple(model.pyramid_outputs) == case.levels
    for level, tensor in model.pyramid_outputs.items():
        stride = 2 ** int(level[1:])
        assert tensor.shape[1:3] == (32 // stride, 48 // stride)
        assert tensor is model.get_layer(model.pyramid_level_inputs[level]).output


@once
def test_feature_extractor(case, model, pixels, outputs):
    maps = run(keras_shiftmlp.feature_extractor(model), pixels)
    assert tuple(maps) == case.levels
    for level, tensor in model.pyramid_outputs.items():
        assert maps[level].shape == (len(pixels), *tensor.shape[1:])
    head = keras.Model(model.pyramid_outputs[case.levels[-1]], model.output)
    np.testing.assert_allclose(run(head, maps[case.levels[-1]]), outputs, atol=1e-6)
    name = [layer.name for layer in model.layers if layer.name.endswith("_add")][-1]
    assert list(keras_shiftmlp.feature_extractor(model, [name]).output) == [name]
    with pytest.raises(ValueError, match=rf"such as \['{name}'\].*Not found: \['P9'\]"):
        keras_shiftmlp.feature_extractor(model, ["P9"])


def test_no_levels_without_powers_of_two():
    model = keras_shiftmlp.S2MLPv2(
        patch_sizes=(7, 2), dims=(8, 8), depths=(1, 1), input_shape=(28, 28, 3)
    )
    with pytest.raises(ValueError, match=r"strides are \(7, 14\). Received: `layers=None`"):
        keras_shiftmlp.feature_extractor(model)


def test_strides_that_are_no_powers_of_two_have_no_level():
    model = keras_shiftmlp.S2MLPv2(
        patch_sizes=(7, 2), dims=(8, 8), depths=(1, 1), input_shape=(28, 28, 3)
    )
    assert model.pyramid_outputs == {}
    assert model.strides == (7, 14)


@all_on_numpy
@pytest.mark.parametrize("case", FREE.values(), ids=FREE)
def test_any_size(case):
    model = case.build(input_shape=(None, None, 3))
    free = keras.Model(model.input, [model.output, model.get_layer(case.levels[-1]).output])
    stride = 2 ** int(case.levels[-1][1:])
    rest = 0 if case.crops else stride - 1
    for height, width in ((37, 70), (case.smallest_side,) * 2):
        x = np.random.default_rng(1).uniform(0, 255, (2, height, width, 3)).astype("float32")
        fixed = case.build(input_shape=(height, width, 3))
        fixed.set_weights(model.get_weights())
        outputs, maps = run(free, x)
        np.testing.assert_allclose(outputs, run(fixed, x), atol=1e-5)
        assert maps.shape[1:3] == ((height + rest) // stride, (width + rest) // stride)
    maps = case.build(include_top=False, input_shape=None, classes=None)
    assert maps.input_shape == (None, None, None, 3)


@once
def test_input_tensor(case, model, pixels):
    image = keras.Input((32, 48, 3))
    brighter = keras.layers.Rescaling(1.5, name="brighter")(image)
    behind = case.build(input_tensor=brighter, input_shape=None)
    behind.set_weights(model.get_weights())
    np.testing.assert_allclose(run(behind, pixels), run(model, 1.5 * pixels), atol=1e-5)


@all_on_numpy
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channel_counts(case, channels):
    model = case.build(input_shape=(32, 48, channels), include_preprocessing=False)
    inside = case.build(input_shape=(32, 48, channels))
    inside.set_weights(model.get_weights())
    x = np.random.default_rng(1).uniform(0, 255, (2, 32, 48, channels)).astype("float32")
    expected = run(model, x / 127.5 - 1)
    assert expected.shape == (2, 5)
    np.testing.assert_allclose(run(inside, x), expected, atol=1e-5)


@once
def test_rates_grow_linearly(case, model):
    dropped = case.build(drop_path_rate=0.3)
    rates = [x.rate for x in dropped.layers if x.name.endswith("drop_path")]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.3)
    assert not [x for x in model.layers if isinstance(x, keras.layers.Dropout)]


@pytest.mark.skipif(BACKEND == "openvino", reason="it does not train")
def test_no_two_kernels_start_alike(model):
    """An initializer instance that is used twice gives the same values twice."""
    kernels = [w for w in model.weights if w.path.endswith("kernel")]
    first = [tuple(to_numpy(w).ravel()[:3]) for w in kernels if np.ptp(to_numpy(w)) > 0]
    assert len(set(first)) == len(first)


@all_on_numpy
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_policy_of_one_model_only(case, policy, model, pixels, outputs):
    half = case.build(dtype=policy)
    assert keras.config.dtype_policy().name == "float32"
    assert half.get_layer("predictions").compute_dtype == "float32"
    assert any(layer.compute_dtype == policy[6:] for layer in half.layers)
    half.set_weights(model.get_weights())
    y = run(half, pixels)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, outputs, atol=0.05)


@trains
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_fit_overfits_a_batch(case, policy):
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 255, (8, 32, 48, 3)).astype("uint8"), rng.integers(0, 5, 8)
    x, y = np.tile(x, (5, 1, 1, 1)), np.tile(y, 5)  # five steps are faster than five epochs
    if policy == "float32" and (BACKEND != "tensorflow" or case.name not in SAMPLE):
        pytest.skip("`test_gradients.py` trains in float32; here is what `auto` compiles")
    if policy != "float32" and BACKEND != "torch" and case is not FAMILIES[case.constructor]:
        pytest.skip("further networks of a family train on torch")
    model = case.build(dtype=policy, **one_block_per_stage(case.hyperparameters))
    model.compile(
        keras.optimizers.SGD(0.3),  # half of the trace would be Adam's
        "sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile="auto" if policy == "float32" else JIT,
    )
    history = model.fit(x, y, batch_size=8, epochs=6, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0] and history["accuracy"][-1] > 0.95


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow traces in `fit`")
@pytest.mark.parametrize("built", [False, True])
def test_a_step_is_traced_once(built, pixels, monkeypatch):
    """Variables that a trace creates would cause a second one."""
    model, traces = MODEL_CASES["mixer"].build(), []
    step = keras_shiftmlp.ImageModel.train_step
    count = lambda *args: traces.append(args) or step(*args)  # noqa: E731
    monkeypatch.setattr(keras_shiftmlp.ImageModel, "train_step", count)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    if built:
        model.optimizer.build(model.trainable_variables)
    variables = model.optimizer.variables
    model.fit(pixels, np.array([0, 1]), epochs=2, verbose=0)
    assert len(traces) == 1
    assert len(model.optimizer.variables) == len(model.trainable_variables) * 2 + 2
    assert not built or all(a is b for a, b in zip(variables, model.optimizer.variables))


@once_on_torch
def test_a_step_frees_the_last_gradients_first(pixels, monkeypatch):
    """Keras frees them after the network has run, when its activations take the most memory."""
    model, kept = MODEL_CASES["mixer"].build(), []
    model.compile("sgd", "sparse_categorical_crossentropy")
    last, variables = model.layers[-1], model.trainable_variables
    call = last.call

    def count(inputs, training=None):
        kept.append(sum(variable.value.grad is not None for variable in variables))
        return call(inputs, training)

    monkeypatch.setattr(last, "call", count)
    for _ in range(2):
        model.train_on_batch(pixels, np.array([0, 1]))
    assert all(variable.value.grad is not None for variable in variables)
    assert kept[-2:] == [0, 0]


# The others train with both in `test_recomputed_activations_train_alike_in_less_memory`.
@all_on_torch
@pytest.mark.skipif(BACKEND != "tensorflow", reason="the other backends recompute activations")
def test_drop_path_and_dropout_train(case, pixels):
    model = case.build(drop_path_rate=0.5, dropout_rate=0.5)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    assert np.isfinite(model.fit(pixels, np.array([0, 1]), verbose=0).history["loss"]).all()


@all_on_tensorflow
@pytest.mark.skipif(BACKEND not in ("tensorflow", "jax"), reason="no jit compilation")
def test_jit_compiled_is_the_same(model, pixels):
    np.testing.assert_allclose(run_jitted(model, pixels), to_numpy(model(pixels)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="on the others, the network does not matter")
def test_networks_with_depthwise_convolutions_train_without_xla(model, monkeypatch):
    kinds = keras.layers.DepthwiseConv2D, layers.MixShift, layers.PhaseAwareTokenMixing
    slow = any(isinstance(layer, kinds) for layer in model.layers)
    monkeypatch.setattr(device, "has_only_cpus", lambda: True)
    assert device.is_faster_with_xla(model) == (not slow)
    monkeypatch.setattr(device, "has_only_cpus", lambda: False)
    assert device.is_faster_with_xla(model)


@all_on_torch
@pytest.mark.skipif(BACKEND not in ("tensorflow", "torch"), reason="two backends are enough")
def test_quantized_model_survives_saving(case, pixels, tmp_path):
    model = case.build()
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    model.quantize("int8", filters=lambda layer: isinstance(layer, dense))
    model.save(tmp_path / "int8.keras")
    again = keras.models.load_model(tmp_path / "int8.keras")
    assert {w.dtype for w in again.weights} >= {"int8", "float32"}
    np.testing.assert_allclose(run(again, pixels), run(model, pixels), atol=1e-6)


@all_on_torch
@trains
def test_lora_trains_saves_and_merges(case, pixels, tmp_path):
    small = one_block_per_stage(case.hyperparameters)
    model = case.build(**small)
    before = run(model, pixels)
    able = [x.name for x in model.layers if hasattr(x, "enable_lora") and "block" in x.name]
    chosen = keras_shiftmlp.enable_lora(model, 2)
    np.testing.assert_allclose(run(model, pixels), before, atol=1e-6)
    assert chosen == able and len(chosen) >= case.lora_layers
    trained = {variable.path for variable in model.trainable_variables}
    assert {path.split("/")[-1] for path in trained if "predictions" not in path} == {
        "bias", "lora_kernel_a", "lora_kernel_b",
    }  # fmt: skip
    with pytest.raises(ValueError, match="rank=2"):
        keras_shiftmlp.enable_lora(model, 2)
    kept = {v.path: to_numpy(v) for v in model.variables if v.path not in trained}
    loss = "sparse_categorical_crossentropy"
    eager = BACKEND == "tensorflow"  # three steps take less time than a trace
    model.compile(keras.optimizers.Adam(0.1), loss, jit_compile=JIT, run_eagerly=eager)
    model.fit(pixels, np.arange(len(pixels)) % 5, epochs=3, verbose=0)
    for variable in model.variables:
        if variable.path in kept and "seed" not in variable.path:
            np.testing.assert_array_equal(to_numpy(variable), kept[variable.path])
    expected = run(model, pixels)
    assert np.abs(expected - before).max() > 1e-2
    model.save(tmp_path / "lora.keras")
    loaded = keras.models.load_model(tmp_path / "lora.keras")
    np.testing.assert_allclose(run(loaded, pixels), expected, atol=1e-6)
    merged = keras_shiftmlp.merge_lora(model)
    np.testing.assert_allclose(run(merged, pixels), expected, atol=1e-6)
    assert isinstance(merged, keras_shiftmlp.ImageModel)
    plain = case.build(**small)
    assert len(merged.trainable_variables) == len(plain.trainable_variables)
    model.save_weights(tmp_path / "lora.weights.h5")
    plain.load_weights(tmp_path / "lora.weights.h5")
    for one, other in zip(merged.get_weights(), plain.get_weights()):
        np.testing.assert_array_equal(one, other)


@once
def test_lora_needs_a_rank_and_a_layer():
    model = MODEL_CASES["mixer"].build()
    with pytest.raises(ValueError, match=r"`rank` must be at least 1\. Received: `rank=0`"):
        keras_shiftmlp.enable_lora(model, 0)
    with pytest.raises(ValueError, match=r"\['stem'\].*`layers='nothing'`"):
        keras_shiftmlp.enable_lora(model, 2, layers="nothing")
    assert all(layer.trainable for layer in model.layers)
    chosen = keras_shiftmlp.enable_lora(model, 1, layers="1_channel")
    assert chosen == ["block_1_channel_fc1", "block_1_channel_fc2"]
    assert [layer.name for layer in model.layers if layer.trainable] == [*chosen, "predictions"]


@all_on_torch
@trains
def test_recomputed_activations_train_alike_in_less_memory(case, pixels):
    if BACKEND == "tensorflow":
        with pytest.raises(RuntimeError, match=r"needs JAX or PyTorch.*Received: .*tensorflow"):
            keras_shiftmlp.rematerialize(case.build())
        return
    plain = case.build(drop_path_rate=0.3, dropout_rate=0.2)
    model = keras_shiftmlp.rematerialize(plain)
    assert isinstance(model, keras_shiftmlp.ImageModel)
    kept = [bytes_for_the_gradient(one, pixels) for one in (plain, model)]
    assert kept[1] <= case.rematerialized * kept[0]
    for one, other in zip(model.variables, plain.variables, strict=True):
        one.assign(to_numpy(other))  # the seeds of dropout as well
    results = []
    for one in (plain, model):
        one.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        history = one.fit(pixels, np.arange(len(pixels)) % 5, epochs=3, verbose=0, shuffle=False)
        results.append((history.history["loss"], one.get_weights()))
    (losses, weights), (again, others) = results
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(again, losses, rtol=1e-5)
    for one, other in zip(others, weights):
        np.testing.assert_allclose(one, other, atol=1e-5)


def bytes_for_the_gradient(model, pixels):
    """Bytes that are stored for the gradient, without the weights."""
    state = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]

    def loss(state):
        return keras.ops.sum(model.stateless_call(state, others, pixels, training=True)[0])

    if BACKEND == "jax":
        import jax

        _, gradient = jax.eval_shape(lambda state: jax.vjp(loss, state), state)
        kept = jax.tree.leaves(gradient)
        return sum(x.size * x.dtype.itemsize for x in kept) - sum(x.nbytes for x in state)
    import torch

    kept = {}

    def keep(x):
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss(state)
    return sum(kept.values())


@once
@pytest.mark.parametrize("name", keras_shiftmlp.list_models())
def test_published_signature(name):
    function = getattr(keras_shiftmlp, name)
    parameters = inspect.signature(function).parameters
    assert list(parameters) == [
        "include_top", "weights", "input_tensor", "input_shape", "pooling", "classes",
        "classifier_activation", "include_preprocessing", "name", "drop_path_rate",
        "dropout_rate", "dtype", "preprocessing", *function.config,
    ]  # fmt: skip
    for argument, value in function.config.items():
        assert parameters[argument].default == value
    expected = "cifar10" if name.endswith("Nano") else "imagenet"
    assert parameters["weights"].default == expected
    assert parameters["drop_path_rate"].kind is inspect.Parameter.KEYWORD_ONLY
    assert function.__name__ == name and "Args:" in function.__doc__
    if not keras_shiftmlp.list_weights(name):
        with pytest.raises(keras_shiftmlp.WeightsNotAvailableError, match=name):
            function()
