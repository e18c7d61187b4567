"""Compilers, images and host programs."""
