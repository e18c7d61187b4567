"""edge-seq compare: a measured choice among recurrent cells.

Read in this order: ``config`` (configuration), ``points`` (the trainings), ``result`` (what a comparison finds),
``data`` (windows of a training), ``trial`` (one training and its measurements), ``cost`` (cost of a network on a
target), ``summary`` (scores with intervals), ``verdict`` (rules
and recommendation), ``text`` and ``plots``, ``run`` (all steps; the trainings are trials of
:mod:`edge_seq.trials`).
"""
