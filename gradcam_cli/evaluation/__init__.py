"""Evaluation: whether a map is faithful to the model, localizes the object, and has changed since an earlier run."""
