"""`gradcam neuralode ...`: train, evaluate, check and explain networks with an ODEBlock."""

from __future__ import annotations

import click

from gradcam_cli.cli.click_extensions import CONTEXT_SETTINGS
from gradcam_cli.cli.neuralode.evaluate import evaluate
from gradcam_cli.cli.neuralode.explain import explain
from gradcam_cli.cli.neuralode.flow import flow
from gradcam_cli.cli.neuralode.gradcheck import gradcheck
from gradcam_cli.cli.neuralode.spiral import spiral
from gradcam_cli.cli.neuralode.train import train


@click.group(context_settings=CONTEXT_SETTINGS, short_help="Train and explain Neural ODE classifiers.")
def neuralode() -> None:
    """Train, evaluate and explain Neural ODE classifiers.

    The gradients come from the adjoint method (Chen et al. 2018, Neural Ordinary Differential Equations).
    """


for command in (train, evaluate, explain, gradcheck, spiral, flow):
    neuralode.add_command(command)
