"""Initial values of recurrent weights.

Orthogonal hidden-to-hidden weights keep the norm of a state over many steps (Saxe, McClelland & Ganguli 2014,
"Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"). A forget gate that starts open
lets an LSTM remember (Jozefowicz, Zaremba & Sutskever 2015); chrono initialisation spreads the memory of the units over
1 to T_max samples (Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 3):

    LSTM: b_f ~ log(U(1, T_max - 1)), b_i = -b_f
    GRU:  b_z ~ log(U(1, T_max - 1)), where z keeps the state: h' = (1 - z) * n + z * h, as torch defines it

torch adds two bias vectors, bias_ih and bias_hh; the value goes into the first and the second becomes 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edge_seq.ir.kinds import kind_named
from edge_seq.training.config import InitialisationConfig
from edge_seq.training.modules import SequenceClassifier


def initialise(module: SequenceClassifier, config: InitialisationConfig, *, window_length: int) -> None:
    """Set the recurrent weights in place, drawing from torch's global generator.

    Args:
        module: network to change.
        config: rules that apply.
        window_length: T of the contract, for ``chrono_max_steps = "window"``.
    """
    recurrent = module.recurrent
    parameters = dict(recurrent.named_parameters())
    with torch.no_grad():
        for layer in range(recurrent.num_layers):
            if config.recurrent == "orthogonal":
                for gate in torch.split(parameters[f"weight_hh_l{layer}"], recurrent.hidden_size):
                    nn.init.orthogonal_(gate)
            keep = _keep_bias(recurrent.hidden_size, config, window_length)
            kind = kind_named(module.cell)
            if keep is None or kind.keep_gate is None:
                continue
            biases = [parameters[name] for name in (f"bias_ih_l{layer}", f"bias_hh_l{layer}") if name in parameters]
            _set_block(biases, kind.gate_names.index(kind.keep_gate), keep)
            if kind.write_gate is not None and config.chrono_max_steps != "none":
                _set_block(biases, kind.gate_names.index(kind.write_gate), -keep)


def _keep_bias(hidden_size: int, config: InitialisationConfig, window_length: int) -> Tensor | None:
    """Bias [H] of the gate that keeps the state; None leaves torch's biases unchanged."""
    if config.chrono_max_steps == "none":
        return None if config.forget_bias == "default" else torch.full((hidden_size,), config.forget_bias)
    max_steps = window_length if config.chrono_max_steps == "window" else config.chrono_max_steps
    longest = max(float(max_steps), 3.0)
    return torch.empty(hidden_size).uniform_(1.0, longest - 1.0).log()


def _set_block(biases: Sequence[Tensor], gate: int, value: Tensor) -> None:
    """Set a gate's bias: the first of the module's biases has it, the other is 0. Gates are blocks of H rows."""
    rows = slice(gate * len(value), (gate + 1) * len(value))
    for index, bias in enumerate(biases):
        bias[rows] = value if index == 0 else 0.0
