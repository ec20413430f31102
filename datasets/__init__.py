"""The phantom, the bundled real recording and their loaders."""
