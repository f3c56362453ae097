"""The benchmark, and the operations and bytes of compiled models, which repeat exactly."""

import json
import math

import keras
import pytest
import work
from cases import BACKEND, once, one_block_per_stage

import keras_shiftmlp
from keras_shiftmlp import cli
from keras_shiftmlp.models.macs import depthwise_macs, matrix_products

# Upper bounds for XLA on a CPU, forward and with all gradients: operations and bytes of memory, as
# multiples of those of the matrix products. XLA counts each tap of a depthwise convolution as a
# read of its map, though one loop reads it once.
WORK = {
    "MixerNano": ((1.04, 1.2), (1.04, 2.5)),
    "S2MLPNano": ((1.04, 1.8), (1.05, 3.2)),
    "S2MLPv2Nano": ((1.04, 2.7), (1.05, 3.3)),
    "MSMLPNano": ((1.1, 3.9), (1.1, 4.4)),
}

# Upper bounds for PyTorch: the bytes of all maps that a forward pass allocates, as multiples of
# those of the products' results.
NEW_MAPS = {"MixerNano": 2.4, "S2MLPNano": 2.8, "S2MLPv2Nano": 2.9, "MSMLPNano": 4.9}


def work_of(products):
    """Operations, and bytes read and written, of the products."""
    operations = memory = 0
    for (left, right), count in products.items():
        columns = right[-1] * math.prod(right[:-2])
        operations += count * 2 * math.prod(left) * columns
        outputs = math.prod(left[:-1]) * columns
        memory += count * 4 * (math.prod(left) + math.prod(right) + outputs)
    return operations, memory


@once
def test_products_are_those_that_are_counted(case):
    model = case.build()
    operations, _ = work_of(matrix_products(model, 3))
    rest = sum(map(depthwise_macs, model.layers))
    assert operations == 3 * 2 * (keras_shiftmlp.count_macs(model) - rest)


@pytest.mark.skipif(BACKEND != "jax", reason="XLA counts")
@pytest.mark.parametrize("name", WORK)
def test_compiled_work_stays_what_it_is(name):
    import jax

    shallow = one_block_per_stage(getattr(keras_shiftmlp, name).config)
    model = keras_shiftmlp.get_model(name, weights=None, **shallow)
    x = keras.ops.zeros((2, *model.input_shape[1:]))
    others = [v.value for v in model.non_trainable_variables]

    def forward(weights):
        return model.stateless_call(weights, others, x, training=False)[0]

    def backward(weights):
        loss = lambda w: model.stateless_call(w, others, x, training=True)[0][:, 0].sum()  # noqa: E731
        return jax.grad(loss)(weights)

    weights = [v.value for v in model.trainable_variables]
    operations, memory = work_of(matrix_products(model, 2))
    for function, factor, limits in zip((forward, backward), (1, 3), WORK[name]):
        counted = jax.jit(function).lower(weights).compile().cost_analysis()
        assert 1 <= counted["flops"] / operations / factor <= limits[0]
        assert 1 <= counted["bytes accessed"] / memory / factor <= limits[1]


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's dispatcher counts")
@pytest.mark.parametrize("name", NEW_MAPS)
def test_few_new_maps(name):
    import torch

    model = keras_shiftmlp.get_model(name, weights=None)
    images = torch.zeros((2, *model.input_shape[1:]))
    with torch.no_grad():
        written = work.calls_and_bytes(lambda: model(images))["bytes"]
    products = sum(
        4 * math.prod(left[:-1]) * right[-1] * math.prod(right[:-2]) * count
        for (left, right), count in matrix_products(model, 2).items()
    )
    assert 1 <= written / products <= NEW_MAPS[name]


@pytest.mark.skipif(BACKEND not in ("jax", "torch"), reason="the others do not count")
def test_a_step_of_every_network_costs_what_it_did(case):
    """`tests/work.py` says how to count anew."""
    recorded = json.loads(work.RECORDED.read_text())[BACKEND][case.name]
    found = work.counts(case)
    assert found.keys() == recorded.keys()
    for kind, count in found.items():
        assert 0.95 <= count / recorded[kind] <= 1.02, kind


@once
def test_the_command_line_measures(tmp_path, capsys):
    command = ["bench", "MixerNano", "--backends", "torch", "numpy", "--modes", "predict"]
    options = ["--batch-size", "1", "--repeats", "1", "--profile", "--out", str(tmp_path)]
    cli.main([*command, *options])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "bench.json").read_text())
    assert [row["backend"] for row in results["rows"]] == ["torch", "numpy"]
    for row in results["rows"]:
        assert row["ms"] > 0 and row["ratio"] == pytest.approx(row["ms"] / row["matmul_ms"])
        assert f"{row['backend']}\tpredict\t{row['ms']:.2f}\t" in printed
    layers = {row["layer"]: row["count"] for row in results["profile"] if row["backend"] == "torch"}
    depth = keras_shiftmlp.MixerNano.config["depth"]
    assert layers["TokenDense"] == 2 * depth and layers["Dense"] == 2 * depth + 1
    for picture in ("bench.png", "layers.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
    cli.main(["bench", "--from-json", str(tmp_path / "bench.json")])
    assert capsys.readouterr().out == printed
