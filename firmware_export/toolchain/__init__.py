"""Compilers, targets, firmware images and host programs."""
