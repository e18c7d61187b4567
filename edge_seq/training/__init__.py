"""Training: torch modules, the loop, augmentation, baselines. Only ``config`` and ``features`` are free of torch."""
