#!/bin/sh
# The main job on the sample photos, then a network with an equation in its middle: nothing is fetched.
set -eu
echo "The built-in network knows ten classes: airplane automobile bird cat deer dog frog horse ship truck."
echo "Of the sample photos only chelsea shows one of them; see how sure it is of the others."
gradcam sample_images --model mini --layer block5_conv4 --top 3 --offline -o demo_out
echo "Now a network learns the built-in digits by the adjoint method (a minute or two), and is explained along its depth."
gradcam neuralode train --data digits -o demo_out/digits.keras --samples demo_out/digits
gradcam neuralode explain demo_out/digits --model demo_out/digits.keras --frames 9 --save strip --save gif -o demo_out/depth
echo "The figures are in $(pwd)/demo_out"
