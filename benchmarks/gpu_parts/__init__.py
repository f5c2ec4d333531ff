"""The measurements of `benchmarks/gpu.py`, one a file."""
