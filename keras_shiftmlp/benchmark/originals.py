"""The networks of the original frameworks, from a publisher's arrays to logits.

`publishing.verify` compares ours with them. The frameworks are imported on use.
"""

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# In the repository, not in the wheel.
MS_MLP = Path(__file__).parents[2] / "benchmarks" / "torch_ms_mlp.py"


def original_logits(
    source: str, name: str, config: Mapping[str, Any], weights: dict, pixels: np.ndarray
) -> np.ndarray:
    """The logits of the original network.

    Args:
        source: Name of the publisher's layout, such as `"timm_mixer"`.
        name: Name of our constructor, such as `"MixerB16"`.
        config: Its hyper-parameters.
        weights: The arrays of the publisher's file by key.
        pixels: Normalised images `(B, H, W, C)` of float32.

    Returns:
        Logits `(B, classes)`.

    Raises:
        ValueError: If there is no original network for the layout.
        FileNotFoundError: If the network is a file of the repository and the package was installed
            from a wheel.
        ImportError: If the original framework is not installed.
    """
    if source not in ORIGINALS:
        raise ValueError(
            f"Only files of the layouts {', '.join(ORIGINALS)} have an original network to compare "
            f"with. Received: `source={source!r}`"
        )
    try:
        return ORIGINALS[source](name, config, weights, pixels)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"The original network of the layout {source} needs {error.name}: "
            f"pip install {error.name}"
        ) from error


def _google_mixer(name, config, weights, pixels):
    """MLP-Mixer written with flax's and jax's own operations, in Google's layout."""
    import flax.linen as nn
    import jax.numpy as jnp

    def norm(x, key):
        params = {kind: weights[f"{key}/{kind}"] for kind in ("scale", "bias")}
        return nn.LayerNorm().apply({"params": params}, x)

    def dense(x, key):
        params = {kind: weights[f"{key}/{kind}"] for kind in ("kernel", "bias")}
        return nn.Dense(len(params["bias"])).apply({"params": params}, x)

    def mlp(x, key):
        return dense(nn.gelu(dense(x, f"{key}/Dense_0")), f"{key}/Dense_1")

    patch = (config["patch_size"],) * 2
    stem = {kind: weights[f"stem/{kind}"] for kind in ("kernel", "bias")}
    x = nn.Conv(config["dim"], patch, strides=patch).apply({"params": stem}, pixels)
    x = x.reshape(len(x), -1, config["dim"])  # (B, H, W, C) -> (B, S, C)
    for i in range(config["depth"]):
        block = f"MixerBlock_{i}"
        y = jnp.swapaxes(norm(x, f"{block}/LayerNorm_0"), 1, 2)  # (B, S, C) -> (B, C, S)
        x = x + jnp.swapaxes(mlp(y, f"{block}/token_mixing"), 1, 2)  # (B, C, S) -> (B, S, C)
        x = x + mlp(norm(x, f"{block}/LayerNorm_1"), f"{block}/channel_mixing")
    return np.asarray(dense(norm(x, "pre_head_layer_norm").mean(1), "head"))


def _timm_mixer(name, config, weights, pixels):
    import timm

    size = name.removeprefix("Mixer").lower()
    network = timm.create_model(f"mixer_{size}_224", num_classes=len(weights["head.bias"]))
    return _run_torch(network, weights, pixels)


def _official_ms_mlp(name, config, weights, pixels):
    """An independent implementation in PyTorch; the authors' code is not on a package index."""
    if not MS_MLP.exists():
        raise FileNotFoundError(
            "MS-MLP files are compared with benchmarks/torch_ms_mlp.py, which is not in the wheel. "
            "Check out the repository of keras_shiftmlp and run weights/verify.py there. "
            f"Received: `source='official_ms_mlp'` and no {MS_MLP.name}"
        )
    names = ("dims", "depths", "patch_size", "kernel_sizes", "shifts", "mlp_ratio")
    network = runpy.run_path(str(MS_MLP))["MSMLP"](
        **{key: config[key] for key in names}, classes=len(weights["head.bias"])
    )
    return _run_torch(network, weights, pixels)


def _run_torch(network, weights, pixels):
    import torch

    network.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in weights.items()})
    with torch.no_grad():
        # (B, H, W, C) -> (B, C, H, W)
        return network.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy()


ORIGINALS: dict[str, Callable[..., np.ndarray]] = {
    "google_mixer": _google_mixer,
    "official_ms_mlp": _official_ms_mlp,
    "timm_mixer": _timm_mixer,
}
