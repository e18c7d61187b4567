"""What evaluates a model: the numpy references and ONNX."""
