"""Models as other programs use them: an ONNX graph, or a package for the BioImage Model Zoo."""
