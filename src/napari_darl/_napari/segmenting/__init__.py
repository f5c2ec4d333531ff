"""The Segment widget and its background work."""
