"""Networks in ONNX: the graph, its operators and its recurrent layers."""
