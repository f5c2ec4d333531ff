"""Measuring vessels in masks: lengths, diameters, curvature, branch points, stenoses. No Qt, no torch."""
