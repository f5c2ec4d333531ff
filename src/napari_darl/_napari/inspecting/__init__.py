"""The Inspect widget and its background work."""
