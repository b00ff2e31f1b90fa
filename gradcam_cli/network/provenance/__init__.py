"""Which tensors of a traced network run over the rows and columns of the image, and what they cover."""
