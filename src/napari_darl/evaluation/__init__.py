"""Comparison with experts' masks and with classical filters."""
