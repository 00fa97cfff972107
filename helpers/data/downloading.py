"""The download by torchvision, and the reasons why one fails, in words."""

import contextlib
import io
import os
import socket
import tempfile
from pathlib import Path

from helpers.data.known import KNOWN
from helpers.data.published import published_files
from helpers.data.sources import Source
from helpers.environment import short_reason
from helpers.leftovers import remove_leftovers

PATIENCE = 10  # seconds without an answer

# What the texts of errors say (in small letters), and what that means to the reader. The first
# that fits is shown: what came first is the cause of what came after, as when a certificate is
# refused and torchvision tries once more without one.
CAUSES = (
    # The disk.
    (
        ("no space left", "quota exceeded"),
        "no space is left in the data folder; make room, or name another folder in COURSE_DATA",
    ),
    (
        ("urlopen error [errno 13]", "urlopen error [errno 1]"),
        "this machine does not let programs use the network; run it where there is one",
    ),
    (
        ("permission denied", "file exists", "read-only file system", "not a directory"),
        "the data folder cannot be written; name another folder in COURSE_DATA",
    ),
    # The network.
    (
        ("certificate",),
        "the server's certificate was not accepted; set the clock of this machine right, or name "
        "the certificates of your network in SSL_CERT_FILE",
    ),
    (
        ("getaddrinfo", "name or service", "name resolution", "nodename", "no address associated"),
        "the server's name was not found, as where there is no network; connect, or name your "
        "network's proxy in HTTPS_PROXY",
    ),
    (
        ("error 407", "407 proxy"),
        "the proxy of your network wants a password; name it in HTTPS_PROXY",
    ),
    # The server.
    (
        ("error 403", "error 401", "403 forbidden"),
        "the server or a filter of your network refused it (HTTP 403); try another network",
    ),
    (
        ("error 404", "error 410"),
        "the file is no longer at its address (HTTP 404); a newer torchvision may know a new one",
    ),
    (
        ("error 429", "error 50", "error 51", "error 52"),
        "the server is overloaded or out of order; try again later",
    ),
    # No answer.
    (
        ("timed out", "timeout"),
        f"there was no answer within {PATIENCE} seconds; try again later, or in another network",
    ),
    (
        (
            "refused",
            "unreachable",
            "no route",
            "reset by peer",
            "remote end closed",
            "disconnected",
        ),
        "the server cannot be reached; try again later, or in another network",
    ),
    # A wrong or incomplete file.
    (
        ("corrupted", "incomplete", "incompleteread", "not a gzipped file", "end-of-stream"),
        "what came is not the published file, as where a login page answers or the line breaks; "
        "try again, or in another network",
    ),
)


def download(name: str, root: Path) -> Source | None:
    """Fetch the data set into ``root``; None, after one printed line, where that cannot be done."""
    title = KNOWN[name].title
    print(f"Downloading {title}; a slow host takes minutes …")
    remove_leftovers(root, "download")
    patience_before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        fetch(name, root)
    except Exception as problem:  # practice data follows, and says so
        print(
            f"{title} could not be downloaded: {cause_of(problem)}. "
            f"Or put {files_by_hand(name, root)} yourself."
        )
    finally:
        socket.setdefaulttimeout(patience_before)

    # Read like files that were there before; only the source's name differs.
    source = published_files(name, root)
    if source is None:
        return None
    return source._replace(kind="download")


def fetch(name: str, root: Path) -> None:
    """Download beside the data sets, and move the files to their place when all are there."""
    from torchvision import datasets

    folder = KNOWN[name].folder
    reader = getattr(datasets, KNOWN[name].reader)
    root.mkdir(parents=True, exist_ok=True)
    # The name is one that remove_leftovers knows, because this process may be killed.
    prefix = f".download.{os.getpid()}."
    with tempfile.TemporaryDirectory(dir=root, prefix=prefix, suffix=".tmp") as fresh:
        # torchvision draws a bar for every file; the one line above says enough
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            reader(fresh, download=True)

        # Renamed one by one: a file is there whole, or not at all.
        (root / folder).mkdir(parents=True, exist_ok=True)
        for file in KNOWN[name].md5:
            os.replace(Path(fresh) / folder / file, root / folder / file)


def files_by_hand(name: str, root: Path) -> str:
    """Which files a reader can fetch in another way, and where they belong."""
    if KNOWN[name].archive is not None:
        return f"{KNOWN[name].archive} into {root}"
    return f"its files, packed (.gz) or not, into {root / KNOWN[name].folder}"


def cause_of(problem: BaseException) -> str:
    """Why a download failed and what helps, in words; the error's own where it is not known."""
    text = texts_of(problem).lower()
    for signs, cause in CAUSES:
        for sign in signs:
            if sign in text:
                return cause
    # An unknown one: its own words, in one line.
    return f"{type(problem).__name__}: {short_reason(problem)}"


def texts_of(problem: BaseException | None) -> str:
    """The names and texts of an error and of those that led to it."""
    # An error that follows another, as when a second try fails, remembers the first.
    texts = []
    while problem is not None:
        texts.append(f"{type(problem).__name__} {problem}")
        problem = problem.__cause__ or problem.__context__
    return "\n".join(texts)
