"""A server of a bucket by the protocol of S3, for tests: objects, listings, conditional puts."""

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest


DATE = "2026-01-01T00:00:00.000Z"
PAGE = 10  # objects of a listing, so that some need several
BUCKET = "/bucket/"


class ObjectServer(ThreadingHTTPServer):
    """A server of one bucket, called `bucket`.

    Attributes:
        objects: their contents by their names.
        ignored: the headers that it does not honor.
        codes: with which it answers the next requests; it does what is asked at 200 alone.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.ignored: set[str] = set()
        self.codes: list[int] = []
        self.lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the environment that give a client access."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: ObjectServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def answer(self, code: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        name = unquote(url.path).removeprefix(BUCKET)
        with self.server.lock:
            code = self.server.codes.pop(0) if self.server.codes else 200
            if code != 200:
                self.answer(code)
            elif self.command == "PUT":
                self.put(name, body)
            elif self.command == "POST":  # ?delete
                gone = re.findall("<Key>(.*?)</Key>", body.decode())
                for each in gone:
                    self.server.objects.pop(each, None)
                entries = "".join(f"<Deleted><Key>{each}</Key></Deleted>" for each in gone)
                self.answer(200, f"<DeleteResult>{entries}</DeleteResult>".encode())
            elif "list-type" in url.query:
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                self.answer(200, self.listing(query))
            elif name in self.server.objects:
                content = self.server.objects[name]
                self.answer(200, content, ETag=tag(content), Last_Modified=self.date_time_string())
            else:
                self.answer(404)

    do_GET = do_HEAD = do_PUT = do_POST = handle_one

    def put(self, name: str, body: bytes) -> None:
        asked = {n: v for n, v in self.headers.items() if n.lower() not in self.server.ignored}
        conditions = {n.lower(): v for n, v in asked.items()}
        content = self.server.objects.get(name)
        known = None if content is None else tag(content)
        is_new = "if-none-match" not in conditions or known is None
        if not is_new or conditions.get("if-match", known) != known:
            self.answer(412)
        else:
            self.server.objects[name] = body
            self.answer(200, ETag=tag(body))

    def listing(self, query: dict[str, str]) -> bytes:
        after = query.get("continuation-token", "")
        found = sorted(n for n in self.server.objects if n.startswith(query.get("prefix", "")))
        found = [name for name in found if name > after]
        more = len(found) > PAGE
        entries = [
            f"<Contents><Key>{escape(name)}</Key><LastModified>{DATE}</LastModified>"
            f"<Size>{len(self.server.objects[name])}</Size></Contents>"
            for name in found[:PAGE]
        ]
        if more:
            last = escape(found[PAGE - 1])
            entries.append(f"<NextContinuationToken>{last}</NextContinuationToken>")
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListBucketResult>{truncated}{''.join(entries)}</ListBucketResult>".encode()


def tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


@contextlib.contextmanager
def serving() -> Iterator[ObjectServer]:
    """Serve a bucket, and let the environment tell of it."""
    with ObjectServer() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
