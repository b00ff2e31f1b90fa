"""Keras layers and models of Neural ODEs. The import registers all classes that a saved model may contain."""

from gradcam_cli.neuralode.layers import ode_block as ode_block
from gradcam_cli.neuralode.layers import ode_func as ode_func
from gradcam_cli.neuralode.layers import odenet as odenet
from gradcam_cli.neuralode.layers import spiral_net as spiral_net
