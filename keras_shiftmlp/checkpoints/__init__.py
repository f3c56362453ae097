"""Checkpoints: from the argument `weights=...` to the weights of a model."""
