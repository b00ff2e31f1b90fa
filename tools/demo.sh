#!/bin/sh
# The main job on the sample photos: with VGG19, or with the MobileNet of the test data where VGG19 is not here.
set -eu
if [ -n "${GRADCAM_TEST_DATA:-}" ] && ! gradcam models --json | grep -q '"vgg19".*"here": true'; then
  gradcam sample_images --model "$GRADCAM_TEST_DATA/models/mobilenet_0.75_224.keras" --top 3 -o demo_out
else
  gradcam sample_images --layer block5_conv4 --top 3 -o demo_out
fi
echo "The figures are in $(pwd)/demo_out"
