"""Synthetic vessels: trees and fractals, drawn as masks and rendered as angiograms."""
