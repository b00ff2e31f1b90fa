"""What a class leans on beside its object: concepts of its activations, and marks at a fixed place."""
