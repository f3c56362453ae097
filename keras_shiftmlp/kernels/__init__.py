"""How each backend computes what the layers name; nothing that a paper says."""

import keras  # noqa: F401  # first, as in `layers`
