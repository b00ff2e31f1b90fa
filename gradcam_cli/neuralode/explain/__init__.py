"""Grad-CAM maps along the depth t of a Neural ODE."""
