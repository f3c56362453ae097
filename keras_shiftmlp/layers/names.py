"""The layer names that other modules rely on; they are part of the file format."""

import re

HEAD = "predictions"  # the classifier
POOLED_NORM = "pooled_norm"  # a norm between pooling and classifier
PREPROCESSING = "preprocessing"  # the ImagePreprocessing layer
# A patch embedding or a block; groups the layers of one depth.
GROUP = re.compile(r"(stage_\d+_)?(stem|block_\d+)")
STEM = re.compile(r"(stage_\d+_)?stem")
LEVEL = re.compile(r"P\d+")
BLOCK = "block"  # occurs in the name of every layer of a block


def pyramid_level_name(stride: int) -> str:
    """`"P2"` for stride 4, `"P3"` for 8 and so on."""
    return f"P{stride.bit_length() - 1}"
