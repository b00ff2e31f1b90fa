"""What a class leans on besides its object: concepts of its activations, and marks at a fixed place."""
