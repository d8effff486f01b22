"""Downloading MNIST from HTTP servers on this machine: good mirrors and faulty ones."""

import gzip
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.idx_files import idx_bytes, write_idx_files

from nnlab.data import download
from nnlab.data.download import fetch_mnist
from nnlab.errors import DataError


class Mirrors(BaseHTTPRequestHandler):
    """A server on which the first part of a path is a mirror, each with another fault."""

    def do_GET(self):
        mirror, name = self.path.strip("/").split("/")
        self.server.asked.append((mirror, name))
        whole = gzip.compress(self.server.files[name.removesuffix(".gz")])
        body = {
            "good": whole,
            "raw": gzip.decompress(whole),
            "truncated": whole[: len(whole) // 2],
            "breaking": whole[: len(whole) // 2],
            "wrong": gzip.compress(b"other bytes"),
            "page": b"<html>Please log in</html>",
            "endless": b"\0" * 200_000,
        }.get(mirror)
        self.send_response(200 if body is not None else 404)
        # The breaking mirror promises more than it sends before it closes the connection.
        self.send_header("Content-Length", len(whole if mirror == "breaking" else body or b""))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of a tiny dataset, in place of MNIST."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    arrays = write_idx_files(tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as server:
        server.files = {name: idx_bytes(array) for name, array in arrays.items()}
        server.asked = []
        digests = {name: hashlib.sha256(file).hexdigest() for name, file in server.files.items()}
        monkeypatch.setattr(download, "DIGESTS", digests)
        server.at = lambda *names: [
            f"http://127.0.0.1:{server.server_port}/{name}/" for name in names
        ]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "mnist"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mirror", ["good", "raw"])
def test_the_four_files_are_fetched_decompressed_and_saved(server, folder, mirror):
    assert fetch_mnist(folder, server.at(mirror)) == server.files
    assert contents(folder) == server.files


def test_files_that_were_saved_are_not_fetched_again(server, folder):
    fetch_mnist(folder, server.at("good"))
    server.asked.clear()
    assert fetch_mnist(folder, server.at("good")) == server.files
    assert server.asked == []


def test_only_a_damaged_file_is_fetched_again(server, folder):
    fetch_mnist(folder, server.at("good"))
    name = "train-images-idx3-ubyte"
    (folder / name).write_bytes(server.files[name][:-1])
    server.asked.clear()
    assert fetch_mnist(folder, server.at("good")) == server.files
    assert server.asked == [("good", f"{name}.gz")]
    assert contents(folder) == server.files


FAULTS = {
    "missing": "HTTP status 404",
    "truncated": "a broken or foreign file",
    "breaking": "the connection broke off",
    "wrong": "other bytes than the original's",
    "page": "other bytes than the original's",
}


@pytest.mark.parametrize("mirror", FAULTS)
def test_where_one_mirror_fails_the_next_is_asked(server, folder, mirror):
    assert fetch_mnist(folder, server.at(mirror, "good")) == server.files
    assert server.asked[:2] == [
        (mirror, "train-images-idx3-ubyte.gz"),
        ("good", server.asked[0][1]),
    ]
    assert contents(folder) == server.files


def test_a_mirror_that_sends_more_than_mnist_has_is_given_up(server, folder, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    assert fetch_mnist(folder, server.at("endless", "good")) == server.files
    with pytest.raises(DataError, match=r"/endless/ \(a broken or foreign file\)"):
        fetch_mnist(folder / "other", server.at("endless"))


def test_where_nobody_listens_the_next_mirror_is_asked(server, folder):
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as closed:
        nobody = f"http://127.0.0.1:{closed.server_port}/"
    assert fetch_mnist(folder, [nobody, *server.at("good")]) == server.files
    with pytest.raises(DataError, match=r"\(no connection\)"):
        fetch_mnist(folder / "other", [nobody])


def test_where_all_mirrors_fail_one_sentence_tells_why_each_did_and_what_to_do(server, folder):
    mirrors = server.at(*FAULTS)
    with pytest.raises(DataError) as error:
        fetch_mnist(folder, mirrors)
    reasons = ", ".join(
        f"{mirror} ({reason})" for mirror, reason in zip(mirrors, FAULTS.values(), strict=True)
    )
    assert str(error.value) == (
        f"MNIST could not be downloaded: train-images-idx3-ubyte failed at {reasons}. Fetch the "
        "four files yourself and name their folder with data.dir=…, or use data=mnist_sample, "
        "which needs no network."
    )
    assert not folder.exists()


def test_an_interrupted_download_leaves_nothing_behind(server, folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download._Received, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_mnist(folder, server.at("good"))
    assert not folder.exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_is_drawn_on_a_terminal_only(server, folder, monkeypatch, capsys, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert fetch_mnist(folder, server.at("breaking", "good")) == server.files
    assert ("100%" in capsys.readouterr().err) == terminal


def test_a_silent_mirror_is_given_up(monkeypatch, folder):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as silent:  # accepts, and never answers
        address = f"http://127.0.0.1:{silent.server_port}/"
        with pytest.raises(DataError, match=re.escape(f"{address} (no answer for 0.2 s)")):
            fetch_mnist(folder, [address])


def test_where_the_cache_cannot_be_written_the_files_are_still_fetched(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert fetch_mnist(tmp_path / "file" / "mnist", server.at("good")) == server.files


def test_the_mirrors_are_several_and_of_different_hosts():
    hosts = {re.match(r"https://([^/]+)/.*/$", mirror)[1] for mirror in download.MIRRORS}
    assert len(hosts) == len(download.MIRRORS) >= 2
