"""Names of layers that other modules rely on. They are part of every saved file."""

HEAD = "predictions"  # the classifier, (B, C) -> (B, classes); absent without the top
POOLED_NORM = "pooled_norm"  # the normalisation of pooled features (B, C); absent without pooling
