"""Serve the report of a folder on this machine while it grows; nothing is written."""

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from basin_jax.files import reason
from basin_jax.rare.store import FOLDER as RARE
from basin_jax.report import rare
from basin_jax.report.page import report_files
from basin_jax.report.render import PAGE
from basin_jax.results.records import load
from basin_jax.results.store import MANIFEST, Store


HOST = "127.0.0.1"
# Seconds between looks at a folder, and how many times longer than a report takes to make is the
# pause after it.
PAUSE, REST = 2.0, 4.0
CONTENT = {
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".tex": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".pdf": "application/pdf",
}
# A page loads nothing from elsewhere, and sends nothing.
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Report(NamedTuple):
    """A report in memory.

    Attributes:
        files: its files by their names.
        tag: what tells it from an earlier one.
    """

    files: Mapping[str, bytes]
    tag: str


class Watched:
    """A folder and its report, which is made anew when the folder has changed.

    Raises:
        StoreError: if the folder holds no sweep and no search, or something in it is damaged.
    """

    def __init__(self, folder: str):
        self._store, self._seen = Store(folder), self._stamp(Store(folder))
        self.report = _report(self._store.where)

    def update(self) -> bool:
        """Make the report anew if the folder has changed; return True if it was.

        Raises:
            StoreError: if something in the folder is damaged; the report stays as it is.
        """
        seen = self._stamp(self._store)
        if seen == self._seen:
            return False
        self.report, self._seen = _report(self._store.where), seen
        return True

    @staticmethod
    def _stamp(store: Store) -> tuple[Any, ...]:
        searches = store.place.list(RARE)
        if searches and not store.exists():
            return (searches,)
        store.manifest()  # refuses a folder without a sweep
        return store.place.stamp(MANIFEST), store.chunks(), searches


def _report(folder: str) -> Report:
    files = report_files(load(folder)) if Store(folder).exists() else rare.report_files(folder)
    tag = f'"{hashlib.sha256(files[PAGE]).hexdigest()[:16]}"'
    script = Path(__file__).with_name("watch.js").read_text().replace("ETAG", json.dumps(tag))
    files[PAGE] += f"<script>\n{script}</script>\n".encode()
    return Report(files, tag)


class Handler(BaseHTTPRequestHandler):
    """Answer for the page and the files beside it, which are looked up by their names."""

    timeout = 30  # seconds that a connection may say nothing

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        assert isinstance(self.server, Server)
        report, port = self.server.watched.report, self.server.server_address[1]
        # Another name leads here where somebody else's page had it point to this machine.
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.send_error(421)
            return
        name = self.path.partition("?")[0].removeprefix("/") or PAGE
        content = report.files.get(name)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT[Path(name).suffix])
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", report.tag)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


class Server(ThreadingHTTPServer):
    """Serve what is watched, to this machine alone."""

    def __init__(self, watched: Watched, port: int):
        super().__init__((HOST, port), Handler)
        self.watched = watched

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


@contextmanager
def served(watched: Watched, port: int) -> Iterator[str]:
    """Serve a report in a thread, and yield its address.

    Raises:
        ValueError: if the port is no port, or is taken.
    """
    try:
        server = Server(watched, port)
    except (OSError, OverflowError) as error:
        why = reason(error) if isinstance(error, OSError) else "is no port"
        raise ValueError(f"port = {port}: {why}; allowed: a free port, or 0 for any") from None
    with server:
        threading.Thread(target=server.serve_forever, name="watch", daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}/"
        finally:
            server.shutdown()


def watch(folder: str, *, port: int, tell: Callable[[str], None]) -> NoReturn:
    """Serve the report of a folder until a signal stops it.

    Args:
        folder: the folder of a run or its URL.
        port: of this machine alone; 0 for any that is free.
        tell: receives the address, and what went wrong since.

    Raises:
        StoreError: if the folder holds no sweep and no search.
        ValueError: if the port is taken.
    """
    tell(f"making the report of {folder}")
    watched = Watched(folder)
    with served(watched, port) as address:
        tell(f"{folder} is at {address} on this machine alone; Ctrl-C ends it")
        said = ""
        while True:
            began = time.monotonic()
            try:
                made, fault = watched.update(), ""
            except (OSError, ValueError) as error:  # the last report stays
                made, fault = False, reason(error)
            if fault and fault != said:
                tell(f"{folder}: {fault}; it is looked at again")
            said = fault
            time.sleep(max(PAUSE, REST * (time.monotonic() - began) * made))
