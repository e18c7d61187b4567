"""Runs a WebAssembly module with the harness in ``wasmtime``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from edge_seq.support.errors import ToolError
from firmware_export.running.mail import MAIL_BYTES, Order
from firmware_export.toolchain.target import WasmtimeEmulator
from firmware_export.toolchain.wasm_module import WasmModule


class _NoMoreOrders(Exception):  # noqa: N818  # not an error
    """There are no more orders."""


def run_in_wasm(
    module: WasmModule, emulator: WasmtimeEmulator, orders: Sequence[Order], *, timeout_s: float
) -> list[tuple[bytes, bytes]]:
    """Run all orders in one instance of the module.

    Returns:
        For each order, the mailbox fields of its answer and the words after them.

    Raises:
        ToolError: ``wasmtime`` is missing, or the module faults or is not done in time; the message names the function.
    """
    try:
        import wasmtime
    except ImportError as error:
        raise ToolError(f"running {module.target.name}: wasmtime is not installed; {emulator.install}") from error
    where = f"running {module.target.name} in wasmtime"
    answers: list[tuple[bytes, bytes]] = []
    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1)

    def wait(caller: Any) -> None:
        """Take the answer to the previous order, and give the next one."""
        memory = caller["memory"]
        head, buffer = (caller[name].value(caller) for name in ("es_mail", "es_mail_buffer"))
        if previous:
            words = buffer + previous[0].words_offset
            answers.append(
                (
                    bytes(memory.read(caller, head, head + MAIL_BYTES)),
                    bytes(memory.read(caller, words, words + previous[0].word_bytes)),
                )
            )
        previous[:] = [_next(remaining)]
        memory.write(caller, previous[0].head, head)
        memory.write(caller, previous[0].counts, buffer)

    remaining, previous = iter(orders), list[Order]()
    linker = wasmtime.Linker(engine)
    linker.define_func("env", "es_mail_wait", wasmtime.FuncType([], []), wait, access_caller=True)
    alarm = threading.Timer(timeout_s, engine.increment_epoch)
    alarm.start()
    try:
        exports: Any = linker.instantiate(store, wasmtime.Module.from_file(engine, str(module.path))).exports(store)
        exports["main"](store, 0, 0)  # no arguments
    except _NoMoreOrders:
        return answers
    except wasmtime.Trap as error:
        function = error.frames[0].func_name if error.frames else "an unknown function"
        if error.trap_code == wasmtime.TrapCode.INTERRUPT:
            raise ToolError(f"{where}: not done after {timeout_s:g} s, in {function}") from error
        raise ToolError(f"{where}: {error.message.splitlines()[0]} in {function}: {error.trap_code}") from error
    except wasmtime.WasmtimeError as error:
        raise ToolError(f"{where}: {error}") from error
    finally:
        alarm.cancel()
    raise ToolError(f"{where}: the harness ended before its last order")


def _next(orders: Iterator[Order]) -> Order:
    try:
        return next(orders)
    except StopIteration:
        raise _NoMoreOrders from None
