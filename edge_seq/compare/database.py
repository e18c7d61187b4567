"""The database that holds the trials of a comparison: which one, how it is opened, and what is said where it fails.

A file (SQLite) in the folder of the comparison, or any URL that SQLAlchemy takes, for workers on many machines. Nothing
that is said of a URL shows its password.
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
    """How workers know of each other.

    Attributes:
        interval_s: between two signs of life.
        grace_s: silence after which a trial is taken over.
    """

    interval_s: int = 15
    grace_s: int = 60


def storage_of_folder(folder: Path) -> str:
    """URL of the database file in the folder of a comparison; the file is made if it is not there.

    In write-ahead mode: a commit waits for the disk only once, and other programs can read meanwhile. That mode needs a
    file system of this machine; workers on several machines need a database server.

    Raises:
        ConfigError: the name of the folder has a character that this SQLAlchemy cannot put into a URL.
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
    """The URL without its password, and of the options behind the question mark only those that hold no secret."""
    from sqlalchemy.engine import make_url

    url = make_url(storage)
    hidden = url.query.keys() - _SHOWN_OPTIONS
    return url.difference_update_query(hidden).render_as_string(hide_password=True)


def check_storage(storage: str) -> URL:
    """Check a URL and its driver; connects to nothing.

    Raises:
        ConfigError: it is no URL of a database.
        ToolError: the driver is not installed; says how to install it.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    # What follows the kind of database may hold a password, and where a URL does not parse nobody knows where.
    kind, is_url, rest = storage.partition("://")
    named = f"{kind}://..." if is_url else "(without ://)"
    try:
        url = make_url(storage)
        if url.password is not None and rest.count("@") > 1:
            raise ConfigError(
                f"comparison: --storage {named} has more than one @, so that it is not clear where the password ends; "
                "write %40 for each but the one before the host"
            )
        create_engine(url)
    except (ImportError, NoSuchModuleError) as error:
        raise ToolError(
            f"comparison: no driver for the database {kind}: {error}. For PostgreSQL: pip install "
            "'edge-seq[compare-postgresql]' and --storage postgresql+psycopg2://user@host/database; for another "
            "database install its driver and name it in the same way"
        ) from error
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise ConfigError(
            f"comparison: --storage {named} is no URL of a database; expected for example "
            "postgresql+psycopg2://user@host/database or sqlite:////folder/study.db"
        ) from error
    return url


def open_study(storage: str, name: str, heartbeat: Heartbeat) -> optuna.Study:
    """The study of that name; made if it is not there.

    Raises:
        ConfigError, ToolError: as :func:`check_storage` and :func:`database_errors`; or another version of Optuna made
            the tables.
    """
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # results and errors are ours to tell
    url = check_storage(storage)
    with database_errors(storage):
        for remaining in reversed(range(_OPEN_TRIES)):
            try:
                with quiet():
                    backend = optuna.storages.RDBStorage(
                        storage.replace("{", "{{").replace("}", "}}"),  # Optuna takes it for a template
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
            except RuntimeError as error:  # Optuna's, of tables that another version of it made
                raise ToolError(
                    f"comparison: the database {url.drivername} cannot be used with this Optuna: {error} Or give "
                    "another --out (with --storage: an empty database) to start anew"
                ) from error
    raise AssertionError("unreachable")


def set_if_absent(study: optuna.Study, name: str, value: str) -> None:
    """A user attribute of a study, left as it is where it is there already.

    Optuna's own way overwrites it. Here the table's rule decides, one row for each study and name, whoever comes first.
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
    """Says what a database answers, wherever it fails, as an error of ours.

    Raises:
        ToolError: the database cannot be reached, refuses the user, or went away.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raised = error.__cause__ if isinstance(error, StorageInternalError) else error
        answer = " ".join(str(getattr(raised, "orig", None) or raised).split())  # the driver's, without our SQL
        raise ToolError(
            f"comparison: the database {storage.partition('://')[0]} cannot be used: {answer}. Check that it runs, and "
            "the address, the user and the password in --storage; the same command then continues"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna warns that heartbeats are experimental; whether they work is tested here."""
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
    """Makes read-then-write one step in SQLite.

    Optuna takes a trial with SELECT ... FOR UPDATE and an UPDATE. SQLite knows no FOR UPDATE, and Python's driver
    begins a transaction only at the UPDATE, so that two workers took the same trial. What follows is SQLAlchemy's
    recipe for that driver.
    """
    from sqlalchemy import event

    def begin_by_hand(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections that were opened before
    event.listen(engine, "connect", begin_by_hand)
    event.listen(engine, "begin", begin)
