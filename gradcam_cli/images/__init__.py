"""Images: finding inputs, decoding them to uint8 RGB, fitting them to the model input, encoding results."""
