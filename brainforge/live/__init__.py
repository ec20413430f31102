"""What a patient in the helmet sees: the immediate path, its calibration, and the exact path."""
