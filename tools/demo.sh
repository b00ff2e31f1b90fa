#!/bin/sh
# Explain the sample images, then train a Neural ODE classifier and explain it along its depth. Nothing is downloaded.
set -eu
echo "The built-in network has the 1,000 classes of ImageNet. Egyptian cat, espresso and military uniform are among them."
echo "An astronaut and a launch vehicle are not: compare the probabilities. Each map shows the evidence for the first class."
gradcam sample_images --model lite0 --top 3 --offline -o demo_out
echo "Now a network is trained on the built-in digits with the adjoint method (one or two minutes), and explained along its depth."
gradcam neuralode train --data digits -o demo_out/digits.keras --export-samples demo_out/digits
gradcam neuralode explain demo_out/digits --model demo_out/digits.keras --num-times 9 --save figure --save gif -o demo_out/depth
echo "The figures are in $(pwd)/demo_out"
