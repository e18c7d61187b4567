"""Scores: window metrics with confidence intervals, event scores of streams, and temperature scaling."""
