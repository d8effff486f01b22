"""Archives made by hand, as nobody's exporter would make them."""

import hashlib
import json
import struct
import zipfile

ONE, TWO = "1" * 32, "2" * 32
RUN = {
    "run_id": ONE,
    "name": "lr=0.1",
    "experiment": "elsewhere",
    "status": "FINISHED",
    "start_time": 1700000000000,
    "end_time": 1700000001000,
    "parent": None,
    "tags": {"outcome": "learned"},
    "params": {"lr": "0.1"},
    "datasets": [],
}
METRICS = b"key,value,timestamp,step\nval/loss,0.5,1700000000500,1\n"


def files(**changes):
    """The files of an archive with one run; ``changes`` are fields of its run.json."""
    return {
        f"runs/{ONE}/run.json": json.dumps({**RUN, **changes}).encode(),
        f"runs/{ONE}/metrics.csv": METRICS,
        f"runs/{ONE}/artifacts/weights.npz": b"weights " * 100,
    }


def manifest_of(content, **changes):
    """The manifest of some files."""
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in content.items()
    }
    return json.dumps({"format": 1, "nnlab": "0", "files": entries, **changes}).encode()


def write(path, content, manifest=None, *, infos=(), method=zipfile.ZIP_DEFLATED):
    """Write a zip: files by name, then the manifest (None lists just these), then ``infos``.

    ``infos`` are pairs of a ZipInfo and bytes, written as they are.
    """
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in content.items():
            file.writestr(name, data)
        file.writestr("manifest.json", manifest_of(content) if manifest is None else manifest)
        for info, data in infos:
            file.writestr(info, data)
    return path


def patch(path, name, **fields):
    """Overwrite fields of a member's two headers: flags, crc, size."""
    data = bytearray(path.read_bytes())
    where = {"flags": (6, "H"), "crc": (14, "I"), "size": (22, "I")}
    for signature, length, shift in ((b"PK\x03\x04", 30, 0), (b"PK\x01\x02", 46, 2)):
        begin = -1
        while (begin := data.find(signature, begin + 1)) >= 0:
            if data[begin + length :].startswith(name.encode()):
                for field, value in fields.items():
                    offset, code = where[field]
                    struct.pack_into("<" + code, data, begin + offset + shift, value)
    path.write_bytes(data)
    return path
