"""Turns an authors' file into one of ours: a `.safetensors` and a model card.

    python weights/port.py MixerB16 Mixer-B_16.npz --out mixer_b16.imagenet
    python weights/port.py MSMLPTiny msmlp_tiny_patch4_ckpt_epoch299.pth --out msmlp_tiny.imagenet

The same as `keras-shiftmlp port`. The source framework is not needed. Every tensor of the file is
used and every weight of the model filled, or an error names those that are left.
"""

import sys

from keras_shiftmlp import cli

cli.main(["port", *sys.argv[1:]])
