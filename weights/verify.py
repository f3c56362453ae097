"""Runs the same photos through the original framework and through ours, and compares the logits.

    python weights/verify.py MixerB16 file.npz --photos folder          # against flax's operations
    python weights/verify.py MixerB16 file.pth --photos folder          # against timm
    python weights/verify.py MSMLPBase file.pth --photos folder         # against plain PyTorch
    python weights/verify.py MixerB16 Mixer-B_16.npz --softmax b16.npy --photo panda.jpg

The same as `keras-shiftmlp verify`. The last form compares with a stored softmax of Google's own
JAX model. Needs Pillow, and jax and flax, or timm, or torch.
"""

import sys

from keras_shiftmlp import cli

cli.main(["verify", *sys.argv[1:]])
