"""TensorFlow computations: layers, logits, forward and backward passes, scores of perturbed inputs."""
