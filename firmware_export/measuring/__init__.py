"""Measure flash, RAM, stack and instructions of exported models."""
