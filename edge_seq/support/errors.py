"""Every error this project raises on purpose.

One root, and a child for each thing that a caller would do differently. Messages say what was being done, what was
found, what was expected and what to do next.
"""


class EdgeSeqError(Exception):
    """Root of all errors raised on purpose; the command line prints it without a traceback and exits 2."""


class DataError(EdgeSeqError):
    """A recording, a table or a folder of them cannot be used as it is."""


class ContractError(DataError):
    """Data and sensor contract do not fit: rate, channels, unit, range, window."""


class ConfigError(EdgeSeqError):
    """A configuration value or a combination of options is not usable."""


class ModelError(EdgeSeqError):
    """A model breaks an invariant of the intermediate representation, or a model file cannot be trusted."""


class RangeProofError(ModelError):
    """A model for which freedom from overflow cannot be proven."""


class ExportError(EdgeSeqError):
    """A model cannot be expressed in the format asked for."""


class ToolError(EdgeSeqError):
    """A compiler, an emulator or an optional Python package is missing or failed."""


class ParityError(EdgeSeqError):
    """Two implementations were to be compared and could not be, for example because their inputs differ."""


class DeviceError(EdgeSeqError):
    """A board on a port does not answer, or answers what cannot be used."""


class PortLostError(DeviceError):
    """The port is not there, or vanished; opening it again may help."""


class DeviceRefusedError(DeviceError):
    """The device understood a request and refused it.

    Attributes:
        code: of :class:`edge_seq.device.messages.ErrorCode`.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class DeviceRestartedError(DeviceError):
    """The device has started anew since the session began: its states are those after a reset."""
