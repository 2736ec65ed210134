"""Bounds of the input for the z-box rule, by channel: about the range of an image after ImageNet's normalisation."""

LOW, HIGH = [-2.5, -2.0, -3.0], [2.5, 3.0, 2.0]
