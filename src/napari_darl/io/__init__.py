"""Read and write image files safely: formats, size limits, atomic replacement."""
