"""Experiment tracking for small neural networks, written out in NumPy."""

__version__ = "0.1.0"
