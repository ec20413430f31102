"""Stages: frozen parameters that bind to an Info and give a running Step."""
