"""The faults of `faults.py` in results, models and tables."""
