"""Find the place of a sweep's results: a folder, or a bucket."""

import re
from os import PathLike, fspath
from typing import TYPE_CHECKING

from basin_jax.results.folder import Folder, StoreError


if TYPE_CHECKING:
    from basin_jax.results.bucket import Bucket


# What a path makes of the URL of a bucket, and where a bucket's reports are.
SPOILED = re.compile("(.*/)?(s3|gs|az):(/|$)")


def place_of(store: str | PathLike[str]) -> "Folder | Bucket":
    """Return the folder or the bucket that a path or a URL names.

    Raises:
        StoreError: if it is a URL that cannot be used here.
    """
    text = fspath(store)
    if "://" not in text:
        if SPOILED.match(text):
            raise StoreError(
                f"{text} was a URL before it was a path, or is for the reports of a bucket; give "
                "the URL as a text"
            )
        return Folder(store)
    try:
        from basin_jax.results.bucket import Bucket
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise StoreError(
            f'{text} needs obstore; install it: pip install "basin-jax[cloud]"'
        ) from None
    return Bucket(text)
