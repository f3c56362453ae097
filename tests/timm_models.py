"""Models of timm with random weights, to compare ours with."""

import numpy as np
import pytest

# Parameters and multiplications of our networks that timm publishes.
SIZES = {
    "GMLPTiny": (5_867_328, 1.329e9),
    "GMLPSmall": (19_422_656, 4.392e9),
    "GMLPBase": (73_075_392, 15.720e9),
    "GMixer12": (12_701_080, 2.659e9),
    "GMixer24": (24_721_096, 5.260e9),
    "ResMLPS12": (15_350_872, 3.010e9),
    "ResMLPS24": (30_020_680, 5.961e9),
    "ResMLPS36": (44_690_488, 8.913e9),
    "ResMLPB24": (129_138_280, 100.23e9),
    "ConvMixer768_32": (21_110_248, 20.677e9),
    "ConvMixer1024_20": (24_383_464, 5.949e9),
    "ConvMixer1536_20": (51_625_960, 51.099e9),
}
# One of each family, and its name there.
NAMES = {
    "GMLPSmall": "gmlp_s16_224",
    "GMixer24": "gmixer_24_224",
    "ResMLPS24": "resmlp_24_224",
    "ConvMixer1024_20": "convmixer_1024_20_ks9_p14",
}


def random_model(name):
    """A model of timm whose weights all show in the outputs; skips without timm."""
    torch = pytest.importorskip("torch")
    try:
        pytest.importorskip("torchvision")
    except RuntimeError:
        # torchvision for GPUs beside PyTorch for CPUs. timm needs the schemas of its operators.
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
    timm = pytest.importorskip("timm")
    model = timm.create_model(name).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.squeeze().ndim == 1:  # a bias, or the scale of a norm or branch
                parameter.normal_(0.5, 0.3, generator=generator)
            else:
                deviation = parameter[0].numel() ** -0.5
                parameter.normal_(0, deviation, generator=generator)
    return model


def state_dict(model):
    return {key: value.numpy() for key, value in model.state_dict().items()}


def logits(model, pixels):
    """The outputs for NHWC pixels, computed in float64."""
    import torch

    with torch.no_grad():
        images = torch.from_numpy(np.moveaxis(pixels, -1, 1).astype("float64"))
        return model.double()(images).numpy()
