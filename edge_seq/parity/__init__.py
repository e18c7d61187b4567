"""Comparison of models and exports: the rungs of the parity ladder."""
