"""Demonstrations: a fit of a spiral, and the flow of a Neural ODE next to a residual network."""
