"""edge-seq compare: vanilla RNN, GRU or LSTM, answered by measurement.

Read in this order: ``config`` (what is compared), ``points`` (each training), ``data`` (windows of a point), ``trial``
(one training, measured), ``cost`` (what a shape costs on a target), ``study`` (many trials, any number of workers),
``summary`` (figures with intervals), ``verdict`` (rules and words), ``text`` and ``plots``, ``run`` (all of it).
"""
