"""Training of ODE-Net classifiers: data sets, the training loop, evaluation."""
