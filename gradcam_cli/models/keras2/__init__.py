"""Model files of Keras 2 (TensorFlow 2.2 to 2.15): their configuration is translated to that of Keras 3."""
