"""The car-state simulator: it models ISO 8608 roads, a car, a driver and a sensor, and gives labelled counts."""

from edge_seq.data.simulator.options import CarStatesOptions
from edge_seq.data.simulator.simulate import simulate_car_states

__all__ = ["CarStatesOptions", "simulate_car_states"]
