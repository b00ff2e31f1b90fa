"""The server of `gradcam serve`: a page on this machine on which a person explores the maps of a network."""
