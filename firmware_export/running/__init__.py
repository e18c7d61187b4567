"""Programs on emulated targets."""
