"""What a layer that holds Dense layers needs so that precision and quantisation survive saving."""

import keras

PolicyMap = keras.dtype_policies.DTypePolicyMap


def full_precision(layer):
    """The dtype policy for a sublayer of `layer` that must not compute in half precision."""
    half = layer.compute_dtype in ("float16", "bfloat16")
    return (
        "float32" if half and not isinstance(layer.dtype_policy, PolicyMap) else layer.dtype_policy
    )


def policy_map(layer) -> dict:
    """The `dtype` entry of a config that gives each quantised sublayer its own policy, if any."""
    policies = dict(_quantized_policies(layer))
    if not policies:
        return {}
    own = layer.dtype_policy
    own = own.default_policy if isinstance(own, PolicyMap) else own
    return {"dtype": keras.dtype_policies.serialize(PolicyMap(own, policies))}


def _quantized_policies(layer):
    for sublayer in vars(layer).values():
        if isinstance(sublayer, keras.layers.Layer):
            yield from _quantized_policies(sublayer)
            if sublayer.quantization_mode is not None:
                policy = sublayer.dtype_policy
                yield (
                    sublayer.path,
                    policy[sublayer.path] if isinstance(policy, PolicyMap) else policy,
                )
