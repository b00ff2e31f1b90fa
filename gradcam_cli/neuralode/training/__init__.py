"""Training of ODE-Net classifiers: data sets, training loop, evaluation."""
