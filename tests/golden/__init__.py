"""Golden files: generated text that must not change unnoticed."""
