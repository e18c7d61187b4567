"""Training: torch modules, the training loop, augmentation and baselines.

These modules import no torch: ``baselines`` (at import), ``checkpoint``, ``config``, ``features`` and ``runtime``.
"""
