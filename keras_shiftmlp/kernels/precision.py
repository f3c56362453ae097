"""Dtype policies of layers inside a layer, so that precision and quantisation survive saving."""

from typing import Any

import keras

PolicyMap = keras.dtype_policies.DTypePolicyMap


def full_precision(layer):
    """The dtype policy for a sublayer of `layer` that must not compute in half precision."""
    half = layer.compute_dtype in ("float16", "bfloat16")
    return (
        "float32" if half and not isinstance(layer.dtype_policy, PolicyMap) else layer.dtype_policy
    )


def policy_map(layer, sublayers) -> dict[str, Any]:
    """The `dtype` entry of a config that gives each quantised sublayer its own policy, if any."""
    policies = {}
    for sublayer in sublayers:
        if sublayer.quantization_mode is not None:
            path, policy = sublayer.path, sublayer.dtype_policy
            policies[path] = policy[path] if isinstance(policy, PolicyMap) else policy
    if not policies:
        return {}
    own = layer.dtype_policy
    own = own.default_policy if isinstance(own, PolicyMap) else own
    return {"dtype": keras.dtype_policies.serialize(PolicyMap(own, policies))}
