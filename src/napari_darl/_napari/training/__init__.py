"""The Train widget and its background work."""
