"""`gradcam neuralode ...`: train, check and explain networks that contain a Neural ODE."""

from __future__ import annotations

import click

from gradcam_cli.cli.click_extensions import CONTEXT_SETTINGS
from gradcam_cli.cli.neuralode.evaluate import evaluate
from gradcam_cli.cli.neuralode.explain import explain
from gradcam_cli.cli.neuralode.flow import flow
from gradcam_cli.cli.neuralode.gradcheck import gradcheck
from gradcam_cli.cli.neuralode.spiral import spiral
from gradcam_cli.cli.neuralode.train import train


@click.group(context_settings=CONTEXT_SETTINGS, short_help="Train, gradcheck and explain Neural ODEs.")
def neuralode() -> None:
    """Neural ordinary differential equations, with gradients by the adjoint method (Chen et al. 2018)."""


for command in (gradcheck, spiral, flow, train, evaluate, explain):
    neuralode.add_command(command)
