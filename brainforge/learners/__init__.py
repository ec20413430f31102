"""Learners: what is learned from a working copy and becomes an Operator."""
