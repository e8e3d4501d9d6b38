"""Flax NNX networks for 3-D segmentation and their building blocks."""
