"""A session: source, recorder, pipeline, feed and findings of one patient."""
