"""Sessions of ONNX Runtime: one thread, no warnings, and no more memory than a file of others may take."""

from __future__ import annotations

from functools import cache
from typing import Any

from edge_seq.support.memory import memory_limit

ERRORS_ONLY = 3  # severity from which ONNX Runtime prints; fatal problems are raised as exceptions
_DEFAULTS = (-1, -1, -1)  # of an arena: how it grows, its first part, what a part may waste


@cache
def _limit_memory(most: int) -> None:
    """Give all sessions of this process one arena. The sizes of values with free axes are known only while they run."""
    import onnxruntime

    cpu = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(cpu, onnxruntime.OrtArenaCfg(most, *_DEFAULTS))


def new_session(model: bytes) -> Any:
    """Create a session for a model.

    It has one thread, which adds in a fixed order. Values of a run take at most
    :func:`edge_seq.support.memory.memory_limit` bytes together; the limit is that of the first session of the process.

    Args:
        model: content of an ONNX file.

    Raises:
        Exception: ONNX Runtime refuses it, or later refuses to run it; the classes of its errors are in a private
            module.
    """
    import onnxruntime

    _limit_memory(memory_limit())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
