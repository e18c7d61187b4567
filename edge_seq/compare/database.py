"""The database of the trials of a comparison: its URL, how it is opened, and its errors.

The database is a file (SQLite) in the folder of the comparison, or any URL that SQLAlchemy takes, for workers on many
machines. No message shows the password of a URL.
"""

from __future__ import annotations

import json
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_seq.support.errors import ConfigError, ToolError

if TYPE_CHECKING:
    import optuna
    from sqlalchemy.engine import URL, Engine

STUDY_FILE = "study.db"
_SQLITE_PATIENCE_S = 60.0
_CONNECT_TIMEOUT_S = 10
_OPEN_TRIES = 5
_SHOWN_OPTIONS = {"host", "port", "user", "dbname", "sslmode", "connect_timeout", "charset"}  # a driver may know others


@dataclass(frozen=True)
class Heartbeat:
    """Times by which workers notice that another worker is gone.

    Attributes:
        interval_s: seconds between two heartbeats of a worker.
        grace_s: seconds without a heartbeat after which another worker takes over the trial.
    """

    interval_s: int = 15
    grace_s: int = 60


def storage_of_folder(folder: Path) -> str:
    """Make the database file in the folder of a comparison if it is missing, and return its URL.

    The file is in write-ahead mode: a commit waits for the disk only once, and other programs can read meanwhile. This
    mode needs a local file system, so workers on several machines need a database server.

    Raises:
        ConfigError: the folder's name has a character that this version of SQLAlchemy cannot put into a URL.
    """
    from sqlalchemy.engine import URL, make_url

    path = folder.absolute() / STUDY_FILE
    url = URL.create("sqlite", database=str(path)).render_as_string()
    if make_url(url).database != str(path):
        raise ConfigError(
            f"comparison: SQLAlchemy 2.0 and older have no URL for {path}; give --out without ? in its name"
        )
    with sqlite3.connect(path, timeout=_SQLITE_PATIENCE_S) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return url


def shown_storage(storage: str) -> str:
    """Remove from a URL its password and all options that may hold a secret."""
    from sqlalchemy.engine import make_url

    url = make_url(storage)
    hidden = url.query.keys() - _SHOWN_OPTIONS
    return url.difference_update_query(hidden).render_as_string(hide_password=True)


def check_storage(storage: str) -> URL:
    """Check a URL and its driver without connecting.

    Raises:
        ConfigError: the text is not the URL of a database.
        ToolError: the driver is not installed; the message says how to install it.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    # The text after the kind of database may hold a password, at an unknown place if the URL does not parse.
    kind, is_url, rest = storage.partition("://")
    named = f"{kind}://..." if is_url else "(without ://)"
    try:
        url = make_url(storage)
        if url.password is not None and rest.count("@") > 1:
            raise ConfigError(
                f"comparison: --storage {named} has more than one @, so it is not clear where the password ends; write "
                "%40 for each @ except the one before the host"
            )
        create_engine(url)
    except (ImportError, NoSuchModuleError) as error:
        raise ToolError(
            f"comparison: no driver for the database {kind}: {error}. For PostgreSQL: pip install "
            "'edge-seq[compare-postgresql]' and --storage postgresql+psycopg2://user@host/database. For another "
            "database, install its driver and name it in the same way"
        ) from error
    except (ArgumentError, ValueError) as error:  # a ValueError for a port that is not a number
        raise ConfigError(
            f"comparison: --storage {named} is not the URL of a database; expected for example "
            "postgresql+psycopg2://user@host/database or sqlite:////folder/study.db"
        ) from error
    return url


def open_study(storage: str, name: str, heartbeat: Heartbeat) -> optuna.Study:
    """Open the study of a name, and make it if it is missing.

    Raises:
        ConfigError: ``storage`` is not the URL of a database.
        ToolError: the driver is missing, the database cannot be used, or another version of Optuna made its tables.
    """
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # edge_seq reports results and errors itself
    url = check_storage(storage)
    with database_errors(storage):
        for remaining in reversed(range(_OPEN_TRIES)):
            try:
                with quiet():
                    backend = optuna.storages.RDBStorage(
                        storage.replace("{", "{{").replace("}", "}}"),  # Optuna formats it as a template
                        engine_kwargs={"connect_args": _connect_args(url), "pool_pre_ping": True},
                        heartbeat_interval=heartbeat.interval_s,
                        grace_period=heartbeat.grace_s,
                    )
                    if url.get_backend_name() == "sqlite":
                        _lock_when_a_transaction_begins(backend.engine)
                    return optuna.create_study(
                        storage=backend,
                        study_name=name,
                        direction="maximize",
                        sampler=optuna.samplers.RandomSampler(),
                        load_if_exists=True,
                    )
            except (SQLAlchemyError, StorageInternalError):
                if not remaining:
                    raise
                time.sleep(0.5)  # two workers that make the tables at the same time
            except RuntimeError as error:  # Optuna raises it for tables that another version of it made
                raise ToolError(
                    f"comparison: the database {url.drivername} cannot be used with this Optuna: {error} Or give "
                    "another --out (with --storage: an empty database) to start again"
                ) from error
    raise AssertionError("unreachable")


def set_if_absent(study: optuna.Study, name: str, value: str) -> None:
    """Set a user attribute of a study, unless it is set already.

    Optuna's own function overwrites it. Here the database decides, since its table allows one row for each study and
    name: the first writer wins.
    """
    from optuna.storages._rdb.models import StudyUserAttributeModel
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError

    storage: Any = study._storage
    row = {"study_id": study._study_id, "key": name, "value_json": json.dumps(value)}
    with suppress(IntegrityError), storage._backend.engine.begin() as connection:
        connection.execute(insert(StudyUserAttributeModel).values(row))


@contextmanager
def database_errors(storage: str) -> Iterator[None]:
    """Turn the errors of a database into one clear error.

    Raises:
        ToolError: the database cannot be reached, refuses the user, or was lost.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raised = error.__cause__ if isinstance(error, StorageInternalError) else error
        answer = " ".join(str(getattr(raised, "orig", None) or raised).split())  # the driver's message, without SQL
        raise ToolError(
            f"comparison: the database {storage.partition('://')[0]} cannot be used: {answer}. Check that it runs, and "
            "check address, user and password in --storage; the same command then continues"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warning that heartbeats are experimental. Tests of this project cover them."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _connect_args(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": _SQLITE_PATIENCE_S}
    if url.get_driver_name() in ("psycopg2", "psycopg") and "connect_timeout" not in url.query:
        return {"connect_timeout": _CONNECT_TIMEOUT_S}
    return {}


def _lock_when_a_transaction_begins(engine: Engine) -> None:
    """Make reading and then writing one step in SQLite.

    Optuna takes a trial with SELECT ... FOR UPDATE and an UPDATE. SQLite has no FOR UPDATE, and Python's driver begins
    a transaction only at the UPDATE, so two workers could take the same trial. This is SQLAlchemy's recipe for that
    driver.
    """
    from sqlalchemy import event

    def begin_by_hand(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # closes the connections that were opened before
    event.listen(engine, "connect", begin_by_hand)
    event.listen(engine, "begin", begin)
