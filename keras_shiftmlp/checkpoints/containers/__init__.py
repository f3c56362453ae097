"""Reads the container formats of checkpoints: bytes from strangers, nothing executed."""
