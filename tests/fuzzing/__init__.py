"""Damaged and hostile input for every reader: short in `test_fuzz.py`, long in `benchmarks/fuzz.py`."""
