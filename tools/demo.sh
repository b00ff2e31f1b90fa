#!/bin/sh
# The main job on the sample photos, with the built-in network: nothing is fetched.
set -eu
echo "The built-in network knows ten classes: airplane automobile bird cat deer dog frog horse ship truck."
echo "Of the sample photos only chelsea shows one of them; see how sure it is of the others."
gradcam sample_images --model mini --layer block5_conv4 --top 3 --offline -o demo_out
echo "The figures are in $(pwd)/demo_out"
