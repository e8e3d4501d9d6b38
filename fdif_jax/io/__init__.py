"""Files: numpy arrays in, bytes out. Knows no jax."""
