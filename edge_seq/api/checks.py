"""A look at recordings before training on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_seq.data.audit.finding import Finding
from edge_seq.pipeline.data_check import DataCheck, check_data
from edge_seq.report.data_page import check_can_draw, write_data_page
from edge_seq.support.display import ShownAsTables, Table


@dataclass(frozen=True)
class Check(ShownAsTables):
    """What is in recordings, and what would spoil a training on them. It shows itself as tables.

    Attributes:
        result: totals, findings and, for files without a data source, what was taken for granted.
    """

    result: DataCheck

    @property
    def usable(self) -> bool:
        """False if something was found that would spoil a training."""
        return self.result.usable

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Errors first, then warnings, then notes."""
        return self.result.found.findings

    def page(self, path: str | Path) -> Path:
        """Write an HTML page of the data: examples, balance, a map of windows, doubtful labels. It needs no network.

        The recordings are read again, unless :func:`check` was told to look closer.

        Raises:
            ConfigError: the path is a folder, or cannot be written.
            DataError, ContractError: the recordings cannot be read any more.
            ToolError: matplotlib is not installed.
        """
        target = Path(path)
        check_can_draw(target)
        looked = self.result if self.result.look is not None else check_data(self.result.path, closer=True)
        write_data_page(looked, target)
        return target

    def to_dict(self) -> dict[str, Any]:
        """Give totals and findings as plain values, ready for JSON."""
        return self.result.to_dict()

    def tables(self) -> Sequence[Table]:
        """Tables of columns (of a guess), classes, channels, and findings if there are any."""
        return self.result.tables()

    def warned(self) -> str | None:
        """Say that the recordings cannot be used as they are."""
        return None if self.usable else "not usable as it is; the findings say what to do"


def check(source: str | Path, *, closer: bool = False) -> Check:
    """Check recordings before training on them, as ``edge-seq data check`` does.

    Args:
        source: TOML file of a data source, a file of recordings, or a folder of them.
        closer: take the closer look of a page at once, so that :meth:`Check.page` does not read the recordings again
            and :meth:`Check.to_dict` has it.

    Raises:
        ConfigError: the path is no data source.
        DataError, ContractError: no recording can be read.
        ToolError: a package that reads a format is not installed.

    Example:
        >>> import edge_seq as es
        >>> found = es.check("drives.toml")
        >>> found.usable
        True
        >>> found.page("drives.html").name  # doctest: +SKIP
        'drives.html'
    """
    return Check(check_data(Path(source), closer=closer))
