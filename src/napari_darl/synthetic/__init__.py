"""Synthetic vessels: trees, fractals, their rasterisation and rendering."""
