#!/bin/sh
# Explain the sample images, then train a Neural ODE classifier and explain it along its depth. Nothing is downloaded.
set -eu
echo "The built-in network has ten classes: airplane automobile bird cat deer dog frog horse ship truck."
echo "Among the sample images only chelsea shows one of these classes. Compare its probability with those of the others."
gradcam sample_images --model mini --layer block5_conv4 --top 3 --offline -o demo_out
echo "Now a network is trained on the built-in digits with the adjoint method (one or two minutes), and explained along its depth."
gradcam neuralode train --data digits -o demo_out/digits.keras --export-samples demo_out/digits
gradcam neuralode explain demo_out/digits --model demo_out/digits.keras --num-times 9 --save figure --save gif -o demo_out/depth
echo "The figures are in $(pwd)/demo_out"
