"""Many trials on any number of workers, none of them lost or done twice.

One process steers: it hands trials to an executor (``executors``: this process, processes of this machine, a Dask
cluster), and keeps each answer in a file of its own (``folder``), so that an interrupted study goes on (``steer``).
"""
