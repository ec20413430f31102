"""Sources, the ring and the recorder."""
