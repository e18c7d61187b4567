"""Quantisation: calibration, scales and rounding that turn a float model into an integer model."""
