"""Training: torch modules, the training loop, augmentation and other classifiers.

These modules import no torch: ``others.baselines``, ``others.teacher``, ``checkpoint``, ``config``, ``features`` and
``runtime``.
"""
