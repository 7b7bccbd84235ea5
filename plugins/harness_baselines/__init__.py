"""Baselines beside Deep InfoMax: autoencoders, adversarial models and noise as targets, on the encoders that it uses."""
