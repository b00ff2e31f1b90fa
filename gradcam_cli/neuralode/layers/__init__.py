"""Keras layers and models of Neural ODEs; all classes that a saved model may contain are registered here."""
