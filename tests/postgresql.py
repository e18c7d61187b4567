"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket in it, for one user with a password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "se{cr}et/%:@1"  # all that a URL, a template or a configuration file may stumble over


@dataclass(frozen=True)
class Server:
    """A server that runs, unless it was stopped.

    Attributes:
        programs: folder of initdb and pg_ctl.
        folder: of its data and its socket.
        user: of the system, whom it runs as.
    """

    programs: Path
    folder: Path
    user: str

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        """A database, as its only user."""
        from sqlalchemy.engine import URL

        there = {"host": str(self.folder)}
        url = URL.create("postgresql+psycopg2", "tester", password, database=database, query=there)
        return url.render_as_string(hide_password=False).replace("%7B", "{").replace("%7D", "}")  # as people type them

    def new_database(self, name: str) -> str:
        """The URL of an empty one."""
        from sqlalchemy import create_engine

        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        self.run("pg_ctl", "--wait", "-D", "data", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """As if it crashed."""
        self.run("pg_ctl", "--wait", "-D", "data", "-m", "immediate", "stop")

    def run(self, program: str, *arguments: str) -> None:
        """A program of PostgreSQL's, by its user."""
        command = [str(self.programs / program), *arguments]
        own = {} if os.geteuid() else {"user": self.user, "group": self.user, "extra_groups": []}
        # Its output into a file: the server keeps what it was started with open, and a pipe would not end.
        with (self.folder / f"{program}.txt").open("w+") as out:
            done = subprocess.run(command, cwd=self.folder, stdout=out, stderr=out, check=False, timeout=60, **own)
            out.seek(0)
            assert done.returncode == 0, out.read()


@contextmanager
def server() -> Iterator[Server]:
    """Skips the test where PostgreSQL or its driver is not there."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: pip install 'edge-seq[compare-postgresql]'")
    pwd = pytest.importorskip("pwd", reason="PostgreSQL is started for tests only where there are users as in Unix")
    found = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)
    if found is None:
        pytest.skip("no PostgreSQL server is installed: no initdb on the path or in Debian's folder")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="edge_seq_pg_"))  # a socket's path has to be short
    one = Server(Path(found).parent, folder, user)
    try:
        shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        one.run("initdb", "-D", "data", "-U", "tester", "--pwfile=password", "--auth=scram-sha-256", "--no-sync")
        one.start()
        yield one
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            one.stop()
        shutil.rmtree(folder)
