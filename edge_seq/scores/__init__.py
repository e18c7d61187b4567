"""Metrics with intervals, event scores of streams, temperature."""
