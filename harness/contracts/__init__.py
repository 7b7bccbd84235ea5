"""What plugins see: specs, contracts and hook specs. Nothing here knows a method, and only the modules with tensors import torch."""
