"""The method: networks, paths, losses, checkpoints; torch only."""
