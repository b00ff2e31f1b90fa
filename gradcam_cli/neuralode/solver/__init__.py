"""The ODE solver and its gradients; it imports no image and no Keras model."""
