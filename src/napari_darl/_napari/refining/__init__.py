"""Refining a model with the masks that the user has corrected, and its background work."""
