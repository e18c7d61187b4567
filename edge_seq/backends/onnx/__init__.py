"""The ONNX exporters and what runs their files. The only place that imports onnx and onnxruntime."""
