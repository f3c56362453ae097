"""Sizes and times of models, and their tables."""
