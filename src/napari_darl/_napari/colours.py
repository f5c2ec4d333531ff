"""The colours of layers and curves, which people with any colour vision tell apart."""

ORANGE, BLUE, YELLOW, PINK, GREEN = "#e05010", "#3090ff", "#f0e442", "#e080c0", "#40e080"

SERIES = (ORANGE, BLUE, YELLOW, PINK, GREEN)
"""Colours of layers, in the order in which they are given."""

VALUES = "viridis"
"""Colormap of measured values; its lightness alone orders them."""
