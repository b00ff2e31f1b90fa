"""Mosaics of inputs whose classes a model predicts with a high probability, and the metrics of their maps."""
