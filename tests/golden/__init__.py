"""Stored truth: generated text that must not change unseen."""
