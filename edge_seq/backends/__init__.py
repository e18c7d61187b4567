"""Backends that evaluate a model: the numpy references and ONNX."""
