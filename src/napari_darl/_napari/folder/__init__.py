"""The widget that segments a folder and steps through its masks, and its background work."""
