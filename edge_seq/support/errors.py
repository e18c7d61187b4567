"""All errors that this project raises on purpose.

There is one root, and one child for each case that a caller handles differently. A message says what was being done,
what was found, what was expected and what to do next.
"""


class EdgeSeqError(Exception):
    """Root of all errors raised on purpose. The command line prints it without a traceback and exits with code 2.

    Attributes:
        in_python: The message for callers in Python, who pass arguments where a command takes options; None if it is
            the same.
    """

    def __init__(self, message: str = "", *, in_python: str | None = None) -> None:
        super().__init__(message)
        self.in_python = in_python


class DataError(EdgeSeqError):
    """A recording, a table or a folder of them cannot be used as it is."""


class ContractError(DataError):
    """The data do not match the sensor contract: rate, channels, unit, range or window."""


class ConfigError(EdgeSeqError):
    """A configuration value or a combination of options is not usable."""


class ModelError(EdgeSeqError):
    """A model breaks an invariant of the intermediate representation, or a model file cannot be trusted."""


class RangeProofError(ModelError):
    """The model cannot be proven free of overflow."""


class ExportError(EdgeSeqError):
    """A model cannot be expressed in the format asked for."""


class ToolError(EdgeSeqError):
    """A compiler, an emulator or an optional Python package is missing or failed."""


class ParityError(EdgeSeqError):
    """Two implementations cannot be compared, for example because their inputs differ."""


class DeviceError(EdgeSeqError):
    """A board on a port does not answer, or its answer is not usable."""


class PortLostError(DeviceError):
    """The port does not exist, or it has disappeared. Opening it again may help."""


class DeviceRefusedError(DeviceError):
    """The device understood a request and refused it.

    Attributes:
        code: value of :class:`edge_seq.device.messages.ErrorCode`.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class DeviceRestartedError(DeviceError):
    """The device has restarted since the session began, so its states were reset."""
