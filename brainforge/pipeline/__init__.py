"""The pipeline: a recipe bound to a recording and a backend."""
