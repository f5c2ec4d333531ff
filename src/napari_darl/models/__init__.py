"""The bundled models: weights and model cards."""
