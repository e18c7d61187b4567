"""Distillation of the model of a run into a smaller one."""
