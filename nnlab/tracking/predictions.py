"""The classes that a recorded network gives to new images."""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import click
import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab.arrays import Array
from nnlab.data.images import Images, kinds_of, load_images
from nnlab.data.pixel_values import MAX_VALUE, to_bytes
from nnlab.errors import DataError, RecordError, StoredFileError
from nnlab.jobs.config import DataConfig, from_record
from nnlab.jobs.tags import Tag
from nnlab.safe_text import printable, spreadsheet_cell
from nnlab.system.stored_files import read_yaml
from nnlab.tracking.artifacts import read_weights, weights_sha256
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store, existing_store
from nnlab.training import network
from nnlab.training.arithmetic import arithmetic_of
from nnlab.training.blas import one_thread
from nnlab.training.network import DenseInput, Params
from nnlab.wording import counted

IMAGES_AT_A_TIME = 4096  # to be held as floats


def predict_files(
    run: str,
    paths: Sequence[Path],
    *,
    out: Path | None = None,
    uri: str | None = None,
    kaggle: bool = False,
    invert: bool = False,
    pixel_max: float | None = None,
) -> None:
    """Classify the images of some files by a run's recorded weights, and write a CSV.

    Parameters
    ----------
    run : str
        Its id, or the beginning.
    paths : sequence of Path
        Pictures, or one file of many images.
    out : Path or None
        A new file; None for the standard output.
    uri : str or None
        Of the store; None as in the config.
    kaggle : bool
        Write the columns ``ImageId,Label`` of the competition, not ``image,label,confidence``.
    invert : bool
        Whether the images are black on white where the network's are white on black.
    pixel_max : float or None
        The pixel value that is white. None: it is told by the values, or by the run's config.

    Raises
    ------
    DataError
        Where an image cannot be read or the predictions cannot be written.
    RecordError
        Where the run has no weights that predict anything.
    TrackingError
        Where there is no such store or run.
    """
    if out is not None and out.exists():
        raise _exists_error(out)
    kinds_of(paths)  # errors of the files first: to import MLflow takes seconds
    store = existing_store(uri)
    record = store.find_run(run)
    params = predicting_weights(store, record)
    if record.status != "FINISHED":
        _note(f"run {record.run_id[:8]} did not train to its end: {_status_of(record)}.")
    data = _recorded_data(store, record)
    # 255 stands in configs from before there was this field.
    white = None if data is None or data.pixel_max == MAX_VALUE else data.pixel_max
    images = load_images(
        paths, params.w1.shape[2], pixel_max=pixel_max, trained_with=None if pixel_max else white,
        transpose=data is not None and data.transpose,
    )  # fmt: skip
    if images.said:
        _note(images.said + ".")
    if not invert and images.bright:
        _note("the images are bright all over; where a network knows white on black: --invert.")
    labels, confidence = classify(params, images, invert=invert)
    if out is None:
        _write(sys.stdout, images, labels, confidence, kaggle=kaggle)
        sys.stdout.flush()
    else:
        _write_file(out, images, labels, confidence, kaggle=kaggle)
    click.echo(printable(_done(record, len(labels), out)), err=True)
    if images.labels is not None:
        accuracy = float((labels == images.labels).mean())
        click.echo(f"accuracy {accuracy:.4f} on {len(labels):,} labelled images", err=True)


def _done(record: RunRecord, count: int, out: Path | None) -> str:
    """Say what was done, by which run, and how good that is."""
    accuracy = record.metrics.get("final_val_accuracy")
    quality = "" if accuracy is None else f" (validation accuracy {accuracy:.4f})"
    where = "" if out is None else f": {out}"
    images = counted(count, "image")
    return f"{images} classified by run {record.run_id[:8]} {record.name}{quality}{where}"


def _recorded_data(store: Store, record: RunRecord) -> DataConfig | None:
    """Return what a run's config says of its data; None where the config is lost."""
    path = store.download(record.run_id, "config.yaml")
    return from_record(read_yaml(path)).data if path.exists() else None


def predicting_weights(store: Store, record: RunRecord) -> Params:
    """Read a run's final weights as ``recorded_weights`` does; refuse those that predict nothing.

    Raises
    ------
    RecordError
        As ``recorded_weights``, and where they are not finite.
    """
    params = recorded_weights(store, record)
    if record.tags.get(Tag.OUTCOME) == "diverged" or not all(np.isfinite(w).all() for w in params):
        raise RecordError(
            f"Run {record.run_id[:8]} diverged: its weights predict nothing. Give another run."
        )
    return params


def recorded_weights(store: Store, record: RunRecord) -> Params:
    """Read a run's final weights, and make sure that they are the recorded ones.

    Parameters
    ----------
    store : Store
    record : RunRecord
        The run.

    Returns
    -------
    Params
        A stack of one.

    Raises
    ------
    RecordError
        Where the run has none, or they are damaged or changed.
    """
    name = f"Run {record.run_id[:8]}"
    recorded = record.tags.get(Tag.WEIGHTS_SHA256)
    if recorded is None:
        if record.is_sweep:
            raise RecordError(f"{name} is a sweep: give one of its runs, which have the weights.")
        raise RecordError(
            f"{name} has no weights: {_status_of(record)}. `nnlab resume {record.run_id[:8]}` "
            "trains what stopped."
        )
    path = store.download(record.run_id, "weights.npz")
    if not path.exists():
        raise RecordError(
            f"{name} has lost its weights: there is no {path}. `nnlab doctor` looks after a store."
        )
    try:
        params = read_weights(path.parent)
    except StoredFileError as error:
        raise RecordError(f"{name} has broken weights: {error}") from error
    digest = weights_sha256(params)
    if digest != recorded:
        raise RecordError(
            f"{name} has other weights than it recorded: the SHA-256 of {path} is {digest[:12]}…, "
            f"the tag weights_sha256 says {recorded[:12]}…. The file was changed or damaged."
        )
    return params


def classify(
    params: Params, images: Images, *, invert: bool = False
) -> tuple[NDArray[np.int64], Array]:
    """Return each image's class, and the probability that the network gives it.

    Parameters
    ----------
    params : Params
        A stack of one.
    images : Images
    invert : bool
        Whether to exchange black and white.

    Returns
    -------
    labels : array of int64, (images,)
    confidence : array, (images,)
    """
    labels, confidence = [], []
    with one_thread():
        for x in _inputs(images, params.w1.dtype, invert=invert):
            _, z2 = network.forward(params, DenseInput(x.T))
            labels.append(z2[0].argmax(axis=0))
            probs, _ = network.softmax(z2)
            confidence.append(probs[0].max(axis=0))
    return np.concatenate(labels), np.concatenate(confidence)


def _inputs(images: Images, dtype: DTypeLike, *, invert: bool) -> Iterator[Array]:
    """Yield the pixels of some images at a time, scaled as in training: (images, pixels)."""
    for first in range(0, len(images.pixels), IMAGES_AT_A_TIME):
        pixels = np.asarray(images.pixels[first : first + IMAGES_AT_A_TIME])
        if images.white == 1 and pixels.dtype.kind == "f":
            x = pixels.astype(dtype)
            yield 1 - x if invert else x
        else:
            whole, _ = to_bytes(pixels, images.white)
            yield arithmetic_of(dtype).images(MAX_VALUE - whole if invert else whole)


def _write(file: TextIO, images: Images, labels: Array, confidence: Array, *, kaggle: bool) -> None:
    writer = csv.writer(file, lineterminator="\n")
    if kaggle:
        writer.writerow(["ImageId", "Label"])
        writer.writerows(enumerate(labels.tolist(), start=1))
        return
    writer.writerow(["image", "label", "confidence"])
    for name, label, share in zip(images.names, labels.tolist(), confidence.tolist(), strict=True):
        writer.writerow([spreadsheet_cell(name), label, f"{share:.6f}"])


def _write_file(
    out: Path, images: Images, labels: Array, confidence: Array, *, kaggle: bool
) -> None:
    try:
        file = out.open("x", encoding="utf-8", newline="")
    except FileExistsError as error:
        raise _exists_error(out) from error
    except OSError as error:
        raise _write_error(out, error) from error
    try:
        with file:
            _write(file, images, labels, confidence, kaggle=kaggle)
    except OSError as error:
        out.unlink()  # a partial file would look complete
        raise _write_error(out, error) from error


def _write_error(out: Path, error: OSError) -> DataError:
    return DataError(f"{out}: it cannot be written ({error.strerror or error}).")


def _exists_error(out: Path) -> DataError:
    return DataError(f"{out} is there already, and stays as it is: give another --out.")


def _status_of(record: RunRecord) -> str:
    reason = record.tags.get(Tag.REASON)
    return f"it is {record.status}" + (f" ({reason})" if reason else "")


def _note(text: str) -> None:
    click.echo(f"Note: {printable(text)}", err=True)
