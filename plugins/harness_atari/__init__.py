"""Atari games with the variables in their RAM, and spatio-temporal Deep InfoMax (Anand et al. 2019)."""
