"""ODE solver with adjoint and discrete gradients; independent of images and of saved models."""
