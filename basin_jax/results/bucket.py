"""A bucket as the place of a sweep's results: objects by their keys, on a server.

The server decides between writers: an object is created if there is none of its name, and
replaced if it is still the one that was read. `prepare` tries both, since some servers ignore
such conditions. Requests that fail for a while are repeated by obstore.
"""

import contextlib
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store

from basin_jax.files import FolderError


# The stores of obstore by the schemes of their URLs, and what gives access to them.
SCHEMES = {
    "s3": (
        S3Store,
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL for a "
        "server that is not Amazon's",
    ),
    "gs": (GCSStore, "GOOGLE_SERVICE_ACCOUNT, the path of a key file"),
    "az": (AzureStore, "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
}
URL = re.compile(rf"({'|'.join(SCHEMES)})://([\w.-]+)/(.+)", re.ASCII)
REPORTS = Path("runs")  # no folder of results lies in `runs/s3:`: see `place_of`
SHOWN = 300  # characters of an error


class BucketError(FolderError):
    """Raised when a bucket cannot be used as asked: the message gives reason and remedy."""


class Bucket:
    """A bucket's objects under a prefix; a key is what follows it, such as `sweep.json`."""

    def __init__(self, url: str):
        found = URL.fullmatch(url.rstrip("/"))
        parts = found[3].split("/") if found else []
        if found is None or {"", ".", ".."} & {*parts}:
            raise BucketError(
                f"{url} is no URL of results; allowed: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or "
                "az://CONTAINER/PREFIX"
            )
        self.where = found[0]
        self.local = Path(REPORTS, f"{found[1]}:", found[2], *parts)
        made, self._access = SCHEMES[found[1]]
        with self._asking("opened", ""):
            self._store = made(found[2], prefix=found[3])

    def named(self, key: str) -> str:
        """Return a key as messages name it."""
        return f"{self.where}/{key}" if key else self.where

    def exists(self, key: str) -> bool:
        """Return True if there is an object.

        Raises:
            BucketError: if the bucket does not tell.
        """
        try:
            self._head(key)
        except FileNotFoundError:
            return False
        return True

    def stamp(self, key: str) -> tuple[object, ...]:
        """Return what tells an object's content from another, without reading it.

        Raises:
            FileNotFoundError: if it is not there.
            BucketError: if the bucket does not tell.
        """
        meta = self._head(key)
        return meta["e_tag"], meta["version"], meta["size"]

    def modified(self, key: str) -> float:
        """Return when an object was written, in seconds since 1970 by the server's clock.

        Raises:
            FileNotFoundError: if it is not there.
            BucketError: if the bucket does not tell.
        """
        return self._head(key)["last_modified"].timestamp()

    def get(self, key: str, *, at_most: int) -> bytes:
        """Return the content of an object of up to `at_most` bytes.

        Raises:
            FileNotFoundError: if it is not there.
            ValueError: if it is too large.
            BucketError: if it may not be read.
        """
        return self._get(key, at_most)[0]

    def list(self, subfolder: str) -> list[str]:
        """Return the keys that begin with a subfolder, sorted.

        Raises:
            BucketError: if the bucket does not tell.
        """
        with self._asking("read", subfolder):
            listed = obstore.list(self._store, subfolder, chunk_size=1000)
            return sorted(meta["path"] for metas in listed for meta in metas)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object that appears whole, once, or not at all; return False if there is one.

        Raises:
            BucketError: if it cannot be written.
        """
        return self._put(key, content, "create") is not None

    def swap(self, key: str, old: bytes, new: bytes) -> bool:
        """Replace an object's content atomically; return False if it is another than `old`.

        Raises:
            BucketError: if it cannot be written.
        """
        try:
            content, meta = self._get(key, len(old))
        except ValueError:  # larger
            return False
        return content == old and self._put(key, new, _version(meta)) is not None

    def replace(self, key: str, content: bytes) -> None:
        """Write an object, whether there is one or not.

        Raises:
            BucketError: if it cannot be written.
        """
        self._put(key, content, "overwrite")

    def delete(self, key: str) -> None:
        """Remove an object.

        Raises:
            BucketError: if it cannot be removed.
        """
        with self._asking("removed", key):
            obstore.delete(self._store, key)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Lock nothing: of workers that write at the same time the server lets one win."""
        return contextlib.nullcontext()

    def prepare(self, *more: str) -> None:
        """Try whatever a run needs of the bucket, before it trains.

        Raises:
            BucketError: if it cannot be written to, or lets a second writer replace what a first
                one wrote.
        """
        key = f"staging/{uuid.uuid4().hex}"
        first = self._put(key, b"first", "create")
        won = [first is not None]
        if first is not None:
            modes = "create", _version(first), _version(first)
            won += [self._put(key, bytes([n]), mode) is not None for n, mode in enumerate(modes)]
        # It may be forbidden, and nothing reads what is left.
        with contextlib.suppress(BaseError, OSError):
            obstore.delete(self._store, key)
        if won != [True, False, True, False]:
            raise BucketError(
                f"{self.where} lets a second writer replace what a first one wrote, so that "
                "workers could overwrite each other's results; allowed: a bucket whose server "
                "honors If-None-Match and If-Match, or a folder"
            )

    def _head(self, key: str) -> Mapping[str, Any]:
        with self._asking("read", key):
            return obstore.head(self._store, key)

    def _get(self, key: str, at_most: int) -> tuple[bytes, Mapping[str, Any]]:
        with self._asking("read", key):
            found = obstore.get(self._store, key)
            meta = found.meta
            if meta["size"] <= at_most:
                return bytes(found.bytes()), meta
        raise ValueError(f"has {meta['size']:,} bytes; allowed: at most {at_most:,}")

    def _put(self, key: str, content: bytes, mode: Any) -> Mapping[str, Any] | None:
        """Write an object; return None if the server finds the condition unmet."""
        with self._asking("written", key):
            try:
                return obstore.put(self._store, key, content, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return None

    @contextlib.contextmanager
    def _asking(self, what: str, key: str) -> Iterator[None]:
        """Turn an error of the server into a `BucketError` that says how to go on."""
        try:
            yield
        except FileNotFoundError:
            if what == "read":
                raise FileNotFoundError("is not there") from None
            raise BucketError(
                f"{self.named(key)} cannot be {what}: there is no such bucket; make it, or give "
                "another"
            ) from None
        except (BaseError, OSError) as error:
            said = " ".join(str(error).partition("Debug source:")[0].split()).rstrip(": ")
            if len(said) > SHOWN:  # the kind of error is at the beginning, its reason at the end
                said = f"{said[: SHOWN // 2]} ... {said[-SHOWN // 2 :]}"
            raise BucketError(
                f"{self.named(key)} cannot be {what}: {said}; set {self._access}, or repeat the "
                "command later: what is committed is kept"
            ) from None


def _version(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the condition that an object is still the one that was read or written."""
    return {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}
