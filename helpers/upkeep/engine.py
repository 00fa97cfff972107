"""The slide engine: reveal.js, fetched once from its npm package, and kept beside the runs."""

import base64
import hashlib
import io
import os
import tarfile
import urllib.request
from pathlib import Path

from helpers.environment import CourseError, runs_root
from helpers.writing import replacing

VERSION = "6.0.2"
FILE = f"reveal.js-{VERSION}.tgz"
REGISTRY = "https://registry.npmjs.org"
# The digest that npm publishes with this version: what comes by another way has to be the same.
SHA512 = "JYIg5D9aoxoaLeb84O+OvAwsKWdIavVgEDScxtYEXFCT6t6TQrhNtSgogcjdCpdLsWglhJn3zyE3fUOwiH5KEg=="
# What a deck needs of the package.
PARTS = {
    "script": "package/dist/reveal.js",
    "style": "package/dist/reveal.css",
    "notes": "package/dist/plugin/notes.js",
    "license": "package/LICENSE",
}
PATIENCE = 20  # seconds without an answer


def load() -> dict[str, str]:
    """The texts of the engine by the names of ``PARTS``, from the cache or from the package.

    Raises ``CourseError`` where the package can neither be found nor fetched: one line that says
    why, and where to put it.
    """
    # Checked at every use, and not only when it came.
    path = cached()
    content = read_sound(path)
    if content is None:
        content = fetch(path)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return unpack(content)


def cached() -> Path:
    """Where the package is kept."""
    return runs_root() / "cache" / FILE


def read_sound(path: Path) -> bytes | None:
    """The package where it is there and is the published one, else None."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    # Half a file is fetched again.
    return content if is_published(content) else None


def is_published(content: bytes) -> bool:
    """Whether these bytes are those that were published."""
    digest = hashlib.sha512(content).digest()
    return base64.b64encode(digest).decode("ascii") == SHA512


def fetch(path: Path) -> bytes:
    """The package from the registry; ``path`` is where a reader may put it by hand."""
    # What tells npm where to fetch holds here too: many schools have a mirror of their own.
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY
    address = f"{registry.rstrip('/')}/reveal.js/-/{FILE}"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            content: bytes = answer.read()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        raise CourseError(
            f"reveal.js could not be fetched ({reason}): {by_hand(path)}"
        ) from problem
    if not is_published(content):
        raise CourseError(f"what came is not reveal.js {VERSION} as published: {by_hand(path)}")
    return content


def by_hand(path: Path) -> str:
    """What to do where there is no network."""
    return f"try again with a network, or put what `npm pack reveal.js@{VERSION}` gives at {path}"


def unpack(content: bytes) -> dict[str, str]:
    """The files of ``PARTS`` out of the package's archive."""
    # Read from memory: nothing of an archive is written to a place that it names.
    parts = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for name, member in PARTS.items():
            file = archive.extractfile(member)
            assert file is not None, f"{member} is a file of the published package"
            parts[name] = file.read().decode("utf-8")
    return parts
