"""Models in use: segmenting (path A), synthesizing (path B), tiling."""
