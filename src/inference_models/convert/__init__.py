"""Another form of a model: an ONNX, OpenVINO or TorchScript package of one that runs in PyTorch or Transformers."""
