"""edge-seq search: the network for a set of recordings, found by cross-validation within limits of cost.

Read in this order: ``config`` (configuration), ``space`` (the candidates), ``cost`` (their cost, from the shape),
``data`` (training part and folds), ``trial`` (one training), ``result`` (what a search finds), ``rounds`` (which trials
are done), ``choice`` (front and choice), ``run`` (all steps), ``final`` (the test part, once).
"""
