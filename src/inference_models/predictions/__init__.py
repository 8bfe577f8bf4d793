"""What models answer with: plain dataclasses of NumPy arrays or torch tensors."""
