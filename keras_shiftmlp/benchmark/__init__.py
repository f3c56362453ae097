"""Timing: models beside their own matrix products."""
