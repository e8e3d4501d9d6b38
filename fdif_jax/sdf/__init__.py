"""Pure signed distance functions of coordinate arrays: no randomness, no classes."""
