"""Makes `predict` on OpenVINO compute in float32, not in bfloat16 where the processor can."""

import functools

import openvino

openvino.compile_model = functools.partial(
    openvino.compile_model, config={"INFERENCE_PRECISION_HINT": "f32"}
)
