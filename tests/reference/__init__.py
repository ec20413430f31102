"""Plain float64 references."""
