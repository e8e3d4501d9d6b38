"""Arrays in, files out: formats, layouts, the writer. Knows no jax."""
