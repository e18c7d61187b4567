"""Index of a folder of evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_seq.evidence.claims import Claim
from edge_seq.support.results import Result

FORMAT = "edge_seq evidence 1"


@dataclass(frozen=True)
class Evidence(Result):
    """Index of a folder of evidence.

    Attributes:
        format: version of this table.
        model, model_hash: name and hash of the integer model.
        edge_seq: release that made the folder.
        contract: sensor contract.
        summary: facts about the model, pairs of name and value.
        limits: limits of the model, one sentence each.
        versions: versions of the packages of the training, and of edge_seq.
        commands: commands that make the run and this folder again; RUN is the folder of the run, KEY a private
            key.
        inputs: SHA-256 of the files of the run that are not exports, by path in the run.
        outputs: SHA-256 of the exported files, by path in the folder of exports.
        claims: the table of claims.
        files: SHA-256 of the other files of this folder, by path.
    """

    format: str
    model: str
    model_hash: str
    edge_seq: str
    contract: dict[str, Any]
    summary: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    versions: dict[str, str]
    commands: tuple[str, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]
    claims: tuple[Claim, ...]
    files: dict[str, str]

    @property
    def failed(self) -> tuple[Claim, ...]:
        """Claims whose file shows the contrary."""
        return tuple(claim for claim in self.claims if claim.status == "failed")
