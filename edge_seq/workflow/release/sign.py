"""edge-seq sign: a signature over all exports of a run."""

from __future__ import annotations

from pathlib import Path

from edge_seq.evidence.signing import Signature, check_folder, sign_folder
from edge_seq.parity.export_rungs import require_unchanged
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ConfigError
from edge_seq.workflow.export import render_run
from edge_seq.workflow.folder import RunFolder, load_run_int, writes_to_run

SIGNATURE_RUNG = "signature of the exports"


@writes_to_run
def sign_run(run: RunFolder, private_key: Path) -> Signature:
    """Sign the exports of a run: every file below ``exports``, the manifest too.

    Args:
        run: Folder of an exported run.
        private_key: Private key, Ed25519 in PEM.

    Returns:
        The signature, which is also written to exports/signature.json.

    Raises:
        ConfigError: the run is not exported, or the key cannot be used.
        ParityError: an exported file is not what the run's model gives now; then nothing is signed.
        ToolError: the package ``cryptography`` is not installed.
    """
    folder = run.exports.path
    if not folder.is_dir():
        raise ConfigError(f"signing {run.path.name}: it holds no exports; run {run.command('export')}")
    require_unchanged(folder, render_run(run, load_run_int(run)), doing=f"signing {run.path.name}")
    return sign_folder(folder, private_key)


def signature_rung(run: RunFolder, public_key: Path) -> Rung:
    """Rung of the ladder: the exports are those that the owner of a key signed.

    Raises:
        ConfigError: the key cannot be used.
        ToolError: the package ``cryptography`` is not installed.
    """
    fault = check_folder(run.exports.path, public_key)
    detail = f"by the key {public_key.name}" if fault is None else fault
    return Rung(SIGNATURE_RUNG, "exact", "holds" if fault is None else "failed", detail)
