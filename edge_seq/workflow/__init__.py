"""From configuration to verified firmware: one function for each command of the command line, callable from Python.

This layer and the command line are the only places that know both the models (``edge_seq``) and the C exporter
(``firmware_export``).
"""
