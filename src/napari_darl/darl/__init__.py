"""The method: networks, the two paths, losses and model files; nothing here knows images or windows."""
