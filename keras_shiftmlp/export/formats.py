"""The formats: how each is written and how its own runtime runs it.

This is the only module that calls other frameworks than Keras. Each is imported on first use.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import keras
import numpy as np

from keras_shiftmlp.kernels import fourier

# From images `(B, H, W, C)` to the outputs by name.
Runner = Callable[[np.ndarray], dict[str, np.ndarray]]

FormatName = Literal["saved_model", "onnx", "openvino", "litert", "pt2"]

# The highest that tf2onnx writes.
OPSET = 18


class WriteOptions(TypedDict, total=False):
    """The keyword arguments of `exporter.write` that each format takes."""

    size: int | tuple[int, int] | None
    images: np.ndarray | None
    tolerance: float
    license: str | None


@dataclasses.dataclass(frozen=True)
class Network:
    """A model without its last activation, and that activation.

    Args:
        model: From images `(B, H, W, C)` to logits, or to features if it has no classifier.
        activation: The activation that was removed, serialized; `None` without a classifier.
    """

    model: keras.Model
    activation: str | dict[str, Any] | None

    def train(self, images: Any) -> Any:
        """What the original model returns in training."""
        return self.activated(self.model(images, training=True))

    def activated(self, y: Any) -> Any:
        """What the original model returns, computed from the output `y` of `model`."""
        return y if self.activation is None else keras.activations.get(self.activation)(y)

    def serve(self, images: Any) -> dict[str, Any]:
        """The outputs of every format, by name."""
        return self.named(self.model(images, training=False))

    def named(self, y: Any) -> dict[str, Any]:
        """The outputs of every format, by name, computed from the output `y` of `model`."""
        if self.activation is None:
            return {"features": y}
        # A classifier without an activation returns logits; their softmax gives probabilities.
        probabilities = keras.ops.softmax(y) if self.activation == "linear" else self.activated(y)
        return {"probabilities": probabilities, "logits": y}

    @property
    def output_name(self) -> str:
        """The name in `named` of what the original model returns."""
        if self.activation is None:
            return "features"
        return "logits" if self.activation == "linear" else "probabilities"

    def inner(self) -> dict[str, dict[str, Any]]:
        """The further signatures of a SavedModel: for each, tensors of the model by name."""
        signatures = {}
        if self.activation is not None:
            signatures["feature_vector"] = {"feature_vector": self.model.layers[-1].input}
        elif len(self.model.output_shape) == 2:
            signatures["feature_vector"] = {"feature_vector": self.model.output}
        if getattr(self.model, "pyramid_outputs", None):
            signatures["feature_maps"] = self.model.pyramid_outputs
        return signatures


def _serving(network):
    import tensorflow as tf

    # (B, H, W, C); sizes that the model leaves open are `None`
    spec = tf.TensorSpec(network.model.input_shape, tf.float32, name="images")
    return tf.function(network.serve, input_signature=[spec], autograph=False)


def write_saved_model(network: Network, path: Path, class_names: Sequence[str] | None) -> None:
    """A reusable SavedModel, as TF Hub defines it."""
    import tensorflow as tf

    def function(call, dtype=tf.float32):
        spec = tf.TensorSpec(network.model.input_shape, dtype, name="images")
        return tf.function(call, input_signature=[spec], autograph=False)

    # Three traces of the network: outputs, training and inner tensors. All else calls these.
    serve = function(network.serve)
    own = {
        False: function(lambda images: serve(images)[network.output_name]),
        True: function(network.train),
    }

    def call(images, training=False):
        return own[bool(training)](tf.cast(images, tf.float32))

    root = tf.train.Checkpoint()
    root.__call__ = tf.function(call, autograph=False)
    for dtype in (tf.float32, tf.uint8):
        for training in own:
            spec = tf.TensorSpec(network.model.input_shape, dtype, name="images")
            root.__call__.get_concrete_function(spec, training=training)
    # `keras.layers.TFSMLayer` looks for these names.
    root.serve, root.serve_training = own[False], own[True]
    root.variables = [variable.value for variable in network.model.variables]
    trainable = network.model.trainable_variables
    root.trainable_variables = [variable.value for variable in trainable]
    root.regularization_losses = [
        tf.function(lambda v=v: v.regularizer(v), input_signature=[], autograph=False)
        for v in trainable
        if v.regularizer is not None
    ]
    signatures = {
        "serving_default": serve,
        "serving_uint8": function(lambda images: serve(tf.cast(images, tf.float32)), tf.uint8),
    }
    if inner := network.inner():
        within = function(keras.Model(network.model.input, inner))
        for name in inner:
            signatures[name] = function(lambda images, name=name: within(images)[name])
    with tempfile.TemporaryDirectory() as folder:
        if class_names is not None:
            file = Path(folder, "class_names.txt")
            file.write_text("".join(f"{name}\n" for name in class_names))
            root.class_names = tf.saved_model.Asset(str(file))
        tf.saved_model.save(root, str(path), signatures)


def run_saved_model(path: Path) -> Runner:
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: {k: v.numpy() for k, v in serve(images=tf.constant(images)).items()}


def run_all_of_saved_model(path: Path) -> Runner:
    """The outputs of all signatures, and what the root returns."""
    import tensorflow as tf

    root = tf.saved_model.load(str(path))

    def run(images):
        outputs = {}
        for name, signature in root.signatures.items():
            if name != "serving_uint8":
                outputs.update(signature(images=tf.constant(images)))
        whole = images.astype("uint8")
        # Whole numbers are passed as uint8, so that both dtypes are tested.
        outputs["output"] = root(tf.constant(whole if (whole == images).all() else images))
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def write_onnx(network: Network, path: Path, class_names: Sequence[str] | None) -> None:
    import tf2onnx
    from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

    def erfc(ctx, node, name, args):
        # Keras computes its own exact GELU from Erfc, which ONNX lacks: 1 - Erf.
        erf = ctx.make_node("Erf", node.input, name=f"{name}_erf")
        one = ctx.make_const(f"{name}_one", np.float32(1))
        replace(ctx, node, "Sub", [one.output[0], erf.output[0]])

    def erf(ctx, node, name, args):
        # ONNX Runtime recognises a GELU by x / sqrt(2). TensorFlow makes it a product.
        product, inputs = node.inputs[0], list(node.input)
        factor = next((x for x in product.inputs if x.is_const()), None)
        if product.type == "Mul" and factor is not None:
            x = next(x for x in product.input if x != factor.output[0])
            divisor = ctx.make_const(f"{name}_divisor", 1 / factor.get_tensor_value(as_list=False))
            inputs = ctx.make_node("Div", [x, divisor.output[0]], name=f"{name}_div").output
        replace(ctx, node, "Erf", inputs)

    def replace(ctx, node, operator, inputs):
        shape, dtype = ctx.get_shape(node.output[0]), ctx.get_dtype(node.output[0])
        ctx.remove_node(node.name)
        ctx.make_node(
            operator, inputs, outputs=node.output, name=node.name, shapes=[shape], dtypes=[dtype]
        )

    serve = _serving(network)
    with (
        fourier.as_products(),
        _replaced(keras.layers.LayerNormalization, "call", _layer_normalization),
        # ONNX Runtime moves transposes too, but only after it has recognised the normalisations.
        _replaced(TransposeOptimizer, "optimize", lambda self, graph, iteration: graph),
    ):
        tf2onnx.convert.from_function(
            serve,
            input_signature=serve.input_signature,
            opset=OPSET,
            custom_op_handlers={"Erfc": (erfc, []), "Erf": (erf, [])},
            output_path=str(path),
        )


_KERAS_LAYER_NORMALIZATION = keras.layers.LayerNormalization.call


def _layer_normalization(layer, inputs):
    """The formula by which ONNX Runtime recognises a layer normalisation, to compute it at once."""
    if layer.rms_scaling or layer.gamma is None or layer.beta is None:
        return _KERAS_LAYER_NORMALIZATION(layer, inputs)
    difference = inputs - keras.ops.mean(inputs, layer.axis, keepdims=True)
    variance = keras.ops.mean(keras.ops.power(difference, 2.0), layer.axis, keepdims=True)
    scaled = difference / keras.ops.sqrt(variance + layer.epsilon)
    return scaled * layer.gamma + layer.beta


def run_onnx(path: Path) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(None, {"images": images})))


def _plain_saved_model(network, folder):
    import tensorflow as tf

    root, serve = tf.train.Checkpoint(), _serving(network)
    root.variables = [variable.value for variable in network.model.variables]
    tf.saved_model.save(root, folder, {"serving_default": serve})
    return serve


def write_openvino(network: Network, path: Path, class_names: Sequence[str] | None) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        _plain_saved_model(network, folder)
        model = openvino.convert_model(folder)
        # By default OpenVINO would store float16 weights.
        openvino.save_model(model, str(path), compress_to_fp16=False)


def run_openvino(path: Path) -> Runner:
    import openvino

    # Without the hint it computes in bfloat16 on processors that support it.
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images):
        outputs = compiled({"images": images}).items()
        return {output.get_any_name(): np.array(value) for output, value in outputs}

    return run


def write_litert(network: Network, path: Path, class_names: Sequence[str] | None) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with _replaced(keras.ops, "roll", _roll_by_slices), fourier.as_products():
            _plain_saved_model(network, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        path.write_bytes(converter.convert())


def _roll_by_slices(x, shift, axis):
    """`keras.ops.roll`, which LiteRT lacks. Other formats keep it: tf2onnx breaks the slices."""
    split, before = -shift % x.shape[axis], (slice(None),) * axis
    pieces = [x[(*before, slice(split, None))], x[(*before, slice(None, split))]]
    return keras.ops.concatenate(pieces, axis=axis)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any):
    """Inside, `owner.name` is `value`."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def run_litert(path: Path) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    # The signature runner resizes the input to the batch that it gets.
    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    return lambda images: runner(images=images)


def write_pt2(network: Network, path: Path, class_names: Sequence[str] | None) -> None:
    import torch

    model = network.model
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    paths = [variable.path for variable in variables]
    # Parts of a nested model may share a path.
    names = [f"{path}_{i}" if path in paths[:i] else path for i, path in enumerate(paths)]
    trained = len(model.trainable_variables)

    class Serving(torch.nn.Module):
        """The network as a module. Its own parameters: those of Keras would become constants."""

        def __init__(self):
            super().__init__()
            for i, (name, variable) in enumerate(zip(names, variables)):
                value = variable.value.detach()
                if value.is_floating_point():
                    value = torch.nn.Parameter(value, requires_grad=i < trained)
                    self.register_parameter(name, value)
                else:
                    self.register_buffer(name, value)

        def forward(self, images):
            values = [getattr(self, name) for name in names]
            y, _ = model.stateless_call(values[:trained], values[trained:], images, training=False)
            return network.named(y)

    _, *shape = model.input_shape
    # Two images, because `torch.export` treats a batch of one as a constant.
    images = torch.zeros((2, *shape), device=model.weights[0].value.device)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(Serving().eval(), (images,), dynamic_shapes=({0: batch},))
    # What does nothing is the larger part of a small program, and binds it to this processor.
    aten = torch.ops.aten
    for node in program.graph.nodes:
        # Lines of code, with the paths of this computer.
        node.meta.pop("stack_trace", None)
        node.meta.pop("nn_module_stack", None)
        if node.target is aten._assert_tensor_metadata.default:
            program.graph.erase_node(node)
        elif node.target in (aten.to.dtype, aten.to.dtype_layout):
            given = node.args[0]
            same = given.meta["val"].dtype == node.meta["val"].dtype
            if same and not any(user.op == "output" for user in node.users):
                node.replace_all_uses_with(given)
                program.graph.erase_node(node)
    torch.export.save(program, path)


def run_pt2(path: Path) -> Runner:
    import torch

    program = torch.export.load(path)
    device = next(iter(program.state_dict.values())).device
    module = program.module()

    def run(images):
        with torch.no_grad():
            outputs = module(torch.from_numpy(images).to(device))
        return {name: value.cpu().numpy() for name, value in outputs.items()}

    return run


@dataclasses.dataclass(frozen=True)
class Format:
    """One format.

    Args:
        ending: Suffix of the path; empty for a folder.
        backend: Backend of Keras that writes it.
        runtime: Name of its runtime.
        any_size: Whether height and width may stay open.
        write: From a network, a path and the class names to a file.
        load: From a path to a function from images to outputs by name.
        needs: Import name of each required package, and its argument of `pip install`.
        check: As `load`, with all outputs, if the format has more than `load` returns.
    """

    ending: str
    backend: str
    runtime: str
    any_size: bool
    write: Callable[[Network, Path, Sequence[str] | None], None]
    load: Callable[[Path], Runner]
    needs: dict[str, str]
    check: Callable[[Path], Runner] | None = None


EXTRA = "'keras_shiftmlp[export]'"
TENSORFLOW = {"tensorflow": "'keras_shiftmlp[tensorflow]', or tensorflow-cpu"}
FORMATS: dict[FormatName, Format] = {
    "saved_model": Format(
        "",
        "tensorflow",
        "TensorFlow",
        True,
        write_saved_model,
        run_saved_model,
        TENSORFLOW,
        run_all_of_saved_model,
    ),
    "onnx": Format(
        ".onnx",
        "tensorflow",
        "ONNX Runtime",
        True,
        write_onnx,
        run_onnx,
        {**TENSORFLOW, "tf2onnx": EXTRA, "onnxruntime": EXTRA},
    ),
    "openvino": Format(
        ".xml",
        "tensorflow",
        "OpenVINO",
        True,
        write_openvino,
        run_openvino,
        {**TENSORFLOW, "openvino": EXTRA},
    ),
    "litert": Format(
        ".tflite",
        "tensorflow",
        "LiteRT",
        False,
        write_litert,
        run_litert,
        {**TENSORFLOW, "ai_edge_litert": EXTRA},
    ),
    "pt2": Format(
        ".pt2", "torch", "PyTorch", False, write_pt2, run_pt2, {"torch": "'keras_shiftmlp[torch]'"}
    ),
}
