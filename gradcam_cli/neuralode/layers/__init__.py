"""Keras layers and models that a saved Neural ODE contains."""
