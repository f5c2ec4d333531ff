"""The tables of `measuring.py`."""
