"""From arrays to 2-D frames in [-1, 1]: axes, colours, normalisation, field of view, smoothing."""
