"""Export models as ONNX and run the files. The only package that imports onnx and onnxruntime."""
