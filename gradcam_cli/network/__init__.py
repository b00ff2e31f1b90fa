"""What TensorFlow computes: layers, logits, forward passes with gradients, scores of changed inputs."""
