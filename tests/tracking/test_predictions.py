"""``nnlab predict``: a recorded network and images from files."""

import csv
import gzip
import io
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support.commands import run_py
from support.configs import config
from support.idx_files import idx_bytes
from support.sweeps import run_sweep

from nnlab.cli.main import main
from nnlab.data.images import load_images
from nnlab.jobs.code_version import CodeVersion
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.sweep import Sweep
from nnlab.tracking.artifacts import read_weights
from nnlab.tracking.predictions import classify
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker
from nnlab.training.full_batch import predict as predict_blocks

HEADER = ",".join(f"pixel{place}" for place in range(784))


class Made:
    """A sweep of a run that learns, one that is pruned, and one that diverges."""

    def __init__(self, folder):
        self.uri = f"sqlite:///{folder}/mlflow.db"
        rates = (0.5, 1e-6, 1e30)
        configs = [
            config(
                lr=lr,
                epochs=20,
                hidden_size=8,
                target_accuracy=0.5,
                data__name="digits",
                data__val_size=400,
                tracking__uri=self.uri,
                prune={"rule": "halving", "rungs": [3], "eta": 3},
            )
            for lr in rates
        ]
        overrides = [(f"lr={lr}",) for lr in rates]
        sweep = Sweep.of(configs, overrides)
        self.run, self.pruned, self.diverged = run_sweep(sweep, LaunchConfig(n_jobs=1))
        self.store = Store(self.uri)
        self.weights = self.store.download(self.run.state.run_id, "weights.npz")
        dataset, val = self.run.prepared.dataset, self.run.prepared.split.val
        self.pixels, self.labels = dataset.pixels[val], dataset.labels[val]

    def predict(self, *words, run=None):
        run = self.run if run is None else run
        words = [
            "predict",
            run if isinstance(run, str) else run.state.run_id,
            *map(str, words),
            "--uri",
            self.uri,
        ]
        return CliRunner().invoke(main, words)

    def done(self, images=400, out=""):
        """The sentence on what was done."""
        accuracy = self.run.state.metrics["final_val_accuracy"]
        return (
            f"{images} images classified by run {self.run.state.run_id[:8]} {self.run.job.name} "
            f"(validation accuracy {accuracy:.4f}){out}\n"
        )

    def refusal(self, *words, run=None):
        """The sentence in which a command is refused."""
        done = self.predict(*words, run=run)
        assert done.exit_code == 2, done.output
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("made"))


def as_csv(pixels, path, *, header=HEADER, labels=None):
    rows = [",".join(map(str, row)) for row in pixels.tolist()]
    if labels is not None:
        header = f"label,{header}"
        rows = [f"{label},{row}" for label, row in zip(labels, rows, strict=True)]
    path.write_text("\n".join([header, *rows] if header else rows) + "\n")
    return [path]


def as_array(array, path):
    np.save(path, array)
    return [path]


def as_idx(pixels, path, compress=bytes):
    path.write_bytes(compress(idx_bytes(pixels.reshape(-1, 28, 28))))
    return [path]


def as_pictures(pixels, folder):
    paths = []
    for number, row in enumerate(pixels):
        paths.append(folder / f"{number}.png")
        Image.fromarray(row.reshape(28, 28)).save(paths[-1])
    return paths


FORMS = {
    "csv": lambda x, folder: as_csv(x, folder / "test.csv"),
    "csv without a header": lambda x, folder: as_csv(x, folder / "test.csv", header=""),
    "csv as pandas writes it": lambda x, folder: as_csv(
        x, folder / "test.csv", header=",".join(map(str, range(784)))
    ),
    "rows": lambda x, folder: as_array(x, folder / "x.npy"),
    "images": lambda x, folder: as_array(x.reshape(-1, 28, 28).astype(np.int64), folder / "x.npy"),
    "scaled": lambda x, folder: as_array(x.astype(np.float32) / np.float32(255), folder / "x.npy"),
    "scaled in float64": lambda x, folder: as_array(x / 255, folder / "x.npy"),
    "columns first": lambda x, folder: as_array(np.asfortranarray(x), folder / "x.npy"),
    "idx": lambda x, folder: as_idx(x, folder / "t10k-images-idx3-ubyte"),
    "idx.gz": lambda x, folder: as_idx(x, folder / "digits.IDX.GZ", gzip.compress),
    "pictures": as_pictures,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_validation_images_are_classified_as_accurately_as_was_recorded(made, tmp_path, form):
    done = made.predict(*FORMS[form](made.pixels, tmp_path))
    assert done.exit_code == 0, done.output
    assert done.stderr == made.done()
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    right = np.array([int(row["label"]) for row in rows]) == made.labels
    assert right.mean() == made.run.state.metrics["final_val_accuracy"]
    names = [row["image"] for row in rows]
    if form == "pictures":
        assert names == [str(tmp_path / f"{number}.png") for number in range(400)]
    else:
        assert names == [str(number) for number in range(1, 401)]


def test_labels_and_confidence_are_those_of_the_notes_equations_and_of_the_engine(made):
    with np.load(made.weights, allow_pickle=False) as file:
        W1, b1, W2, b2 = (file[name].astype(np.float64) for name in ("W1", "b1", "W2", "b2"))
    Z2 = W2 @ np.maximum(W1 @ (made.pixels.T / 255) + b1, 0) + b2
    A2 = np.exp(Z2) / np.exp(Z2).sum(axis=0)
    folder = made.weights.parent
    params = read_weights(folder)
    path = as_array(made.pixels, folder.parent / "x.npy")
    labels, confidence = classify(params, load_images(path, 784))
    np.testing.assert_array_equal(labels, A2.argmax(axis=0))
    np.testing.assert_allclose(confidence, A2.max(axis=0), rtol=1e-5)

    blocks = made.run.prepared.training(made.run.job.config).val
    order = np.concatenate([block.members for block in blocks])
    probs = predict_blocks(params, blocks)
    np.testing.assert_array_equal(labels[order], probs.argmax(axis=0))
    np.testing.assert_allclose(confidence[order], probs.max(axis=0), rtol=1e-5)


def test_where_the_file_has_labels_the_accuracy_is_told_beside_the_predictions(made, tmp_path):
    path = as_csv(made.pixels, tmp_path / "train.csv", labels=made.labels)
    done = made.predict(*path)
    accuracy = made.run.state.metrics["final_val_accuracy"]
    labelled = f"accuracy {accuracy:.4f} on 400 labelled images\n"
    assert done.stderr == made.done() + labelled
    assert done.stdout == made.predict(*as_array(made.pixels, tmp_path / "x.npy")).stdout


def test_kaggle_gets_its_form_in_a_new_file(made, tmp_path):
    path, out = as_csv(made.pixels[:3], tmp_path / "test.csv"), tmp_path / "submission.csv"
    done = made.predict(*path, "--kaggle", "--out", out)
    assert (done.exit_code, done.output) == (0, made.done(3, f": {out}"))
    labels = [row.split(",")[1] for row in made.predict(*path).stdout.splitlines()[1:]]
    expected = [f"{place},{label}" for place, label in enumerate(labels, start=1)]
    assert out.read_text().splitlines() == ["ImageId,Label", *expected]


def test_one_image_may_stand_alone_and_a_colour_picture_is_read_in_grey(made, tmp_path):
    image = made.pixels[7].reshape(28, 28)
    alone = made.predict(*as_array(image, tmp_path / "x.npy")).stdout.splitlines()[1]
    Image.fromarray(image).convert("RGB").save(tmp_path / "a,b.png")
    coloured = made.predict(tmp_path / "a,b.png").stdout.splitlines()[1]
    assert alone.removeprefix("1,") == coloured.removeprefix(f'"{tmp_path}/a,b.png",')
    Image.fromarray(image).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    assert made.predict(tmp_path / "x.jpg").stdout.splitlines()[1].split(",")[1] == alone[2]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_black_on_white_is_noticed_and_inverted_on_demand(made, tmp_path, kind):
    white = 255 if kind is np.uint8 else 1
    x = (made.pixels[:50] > 127).astype(kind) * kind(white)
    expected = made.predict(*as_array(x, tmp_path / "x.npy"))
    inverted = as_array(white - x, tmp_path / "inverted.npy")
    done = made.predict(*inverted, "--invert")
    assert (done.stdout, done.stderr) == (expected.stdout, made.done(50))
    done = made.predict(*inverted)
    assert done.exit_code == 0
    assert done.stderr.startswith("Note: the images are bright all over;")
    assert done.stdout != expected.stdout


def test_a_file_that_is_there_is_never_overwritten(made, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("precious")
    path = as_array(made.pixels[:1], tmp_path / "x.npy")
    sentence = made.refusal(*path, "--out", out)
    assert sentence == f"{out} is there already, and stays as it is: give another --out.\n"
    assert out.read_text() == "precious"
    sentence = made.refusal(*path, "--out", tmp_path / "none" / "out.csv")
    assert sentence.endswith("out.csv: it cannot be written (No such file or directory).\n")


def a_pickle(path):
    np.save(path, np.array([print], object), allow_pickle=True)


def a_picture(path, size=(28, 28), mode="L", **options):
    Image.new(mode, size).save(path, **options)


def cut(path, keep=-200):
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(image).save(path)
    path.write_bytes(path.read_bytes()[:keep])


def a_bomb(path):
    """A picture of a few bytes whose header promises ten billion pixels."""
    a_picture(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


DIGIT = np.zeros((2, 784), np.uint8)
BAD = [
    ("x.txt", lambda p: p.write_text("1"), "found no rows below the header"),
    ("x.html", lambda p: p.write_text("<!doctype html><p>404"), "found an HTML page"),
    ("x", lambda p: p.write_bytes(b"\x80\x04\x95..."), "found a Python pickle, which can run any"),
    ("x.csv", lambda _: None, "there is no such file or folder"),
    ("x.npy", lambda _: None, "there is no such file or folder"),
    ("x.png", lambda _: None, "there is no such file or folder"),
    ("x-ubyte", lambda _: None, "there is no such file or folder"),
    ("x.npy", lambda p: p.mkdir(), "found a folder, expected a file"),
    ("x.csv", lambda p: p.write_text(""), "the file is empty"),
    ("x.csv", lambda p: p.write_text(HEADER), "no rows below the header, expected an image a row"),
    ("x.csv", lambda p: as_csv(DIGIT[:, 1:], p, header="a,b"), "has a length of 783, expected 2"),
    ("x.csv", lambda p: as_csv(DIGIT[:, 1:], p, header=""), "of 783 pixels, expected 784 as the"),
    (
        "x.csv",
        lambda p: as_csv(DIGIT[:, :9], p, labels=[1, 2], header=HEADER[:62]),
        "of 9 pixels, expected 784 as the network sees",
    ),
    (
        "x.csv",
        lambda p: as_csv(np.pad(DIGIT, [(0, 0), (1, 0)]), p, header=""),
        "of 785 pixels, expected 784 .*; is one of the columns the label, call it `label`",
    ),
    ("x.csv", lambda p: as_csv(DIGIT + 2.5, p, header=""), "'2.5' in line 1, column 1, expected"),
    ("x.csv", lambda p: as_csv(DIGIT + 2.5, p), "found '2.5' in line 2, column pixel0, expected"),
    ("x.npy", lambda p: p.write_text("1"), "found no array of numbers as numpy.save writes it"),
    ("x.npy", lambda p: p.write_bytes(b""), "the file is empty"),
    ("x.npy", a_pickle, r"found no array of numbers .* \(Array can't be memory-mapped"),
    ("x.npy", lambda p: p.write_bytes(b"PK\x03\x04"), "the zip archive is broken"),
    ("x.npy", lambda p: np.save(p, DIGIT + np.uint8(16)), r"--pixel-max 16"),
    ("x.npy", lambda p: np.save(p, DIGIT[:, 1:]), r"of shape \(2, 783\), expected 784 pixels an"),
    ("x.npy", lambda p: np.save(p, DIGIT[0]), r"of shape \(784,\), expected 784 pixels an image"),
    ("x.npy", lambda p: np.save(p, DIGIT[:0]), "no images, expected at least one"),
    ("x.npy", lambda p: np.save(p, DIGIT * 1j), "values of type complex128, expected uint8"),
    (
        "x.npy",
        lambda p: np.save(p, DIGIT + np.int64(256)),
        "int64 values from 256 to 256, expected whole",
    ),
    ("x.npy", lambda p: np.save(p, DIGIT.astype(int) - 1), "int64 values from -1 to -1"),
    ("x.npy", lambda p: np.save(p, DIGIT + 2.0), "float64 values from 2.0 to 2.0, expected whole"),
    ("x.npy", lambda p: np.save(p, DIGIT * np.nan), "values from nan to nan"),
    (
        "x-ubyte",
        lambda p: p.write_bytes(idx_bytes(DIGIT)),
        r"magic number 0x00000802, expected 0x00000",
    ),
    ("x.idx", lambda p: as_idx(DIGIT, p, lambda b: b[:-5]), "the file is cut off: found 1,563"),
    ("x-ubyte.gz", lambda p: as_idx(DIGIT, p, lambda b: gzip.compress(b)[:-3]), "is cut off"),
    (
        "x.idx",
        lambda p: p.write_bytes(idx_bytes(DIGIT[:, :9].reshape(2, 3, 3))),
        r"shape \(2, 3, 3\)",
    ),
    ("x.png", lambda p: p.write_text("1"), "found no whole PNG or JPEG picture"),
    ("x.png", cut, "found no whole PNG or JPEG picture"),
    ("x.jpg", cut, "found no whole PNG or JPEG picture"),
    ("x.png", lambda p: a_picture(p, format="GIF"), "found a GIF picture: save it as PNG"),
    ("x.png", lambda p: a_picture(p, (30, 28)), "a picture of 30 × 28, expected 28 × 28 as the"),
    ("x.png", lambda p: a_picture(p, (56, 14)), "a picture of 56 × 14, expected 28 × 28 as the"),
    ("x.png", a_bomb, "found no whole .*decompression bomb"),
    ("x.png", lambda p: a_picture(p, mode="RGBA"), "found transparent pixels, expected none"),
    ("x.png", lambda p: a_picture(p, mode="I;16"), "found more than 8 bits a pixel, expected 8"),
]


@pytest.mark.parametrize(("name", "write", "sentence"), BAD)
def test_what_cannot_be_read_is_refused_with_the_file_and_the_reason(
    made, tmp_path, name, write, sentence
):
    write(tmp_path / name)
    refusal = made.refusal(tmp_path / name)
    assert refusal.startswith(f"{tmp_path / name}: ")
    assert re.search(sentence, refusal), refusal


def test_many_images_in_one_file_are_classified_alone(made, tmp_path):
    paths = [*as_pictures(made.pixels[:2], tmp_path), *as_array(made.pixels, tmp_path / "x.npy")]
    assert "found 3 files, expected this one alone: only pictures" in made.refusal(*paths)


def test_a_run_without_weights_says_why_it_has_none(made, tmp_path):
    path = as_array(made.pixels[:1], tmp_path / "x.npy")
    tracker = Tracker(made.store, "nnlab", CodeVersion())
    failed = tracker.start("failed", {}, {})
    tracker.finish(failed, "FAILED", tags={"reason": "OSError: no space"})
    sentence = made.refusal(*path, run=failed)
    assert f"Run {failed[:8]} has no weights: it is FAILED (OSError: no space)." in sentence
    assert f"`nnlab resume {failed[:8]}` trains what stopped" in sentence
    killed = tracker.start("killed", {}, {})
    tracker.finish(killed, "KILLED")
    assert "has no weights: it is KILLED." in made.refusal(*path, run=killed)
    parent = made.store.get(made.run.state.run_id).tags["mlflow.parentRunId"]
    assert f"Run {parent[:8]} is a sweep: give one of its runs" in made.refusal(*path, run=parent)
    assert "no run begins with 0000zz" in made.refusal(*path, run="0000zz")


def test_a_run_that_diverged_predicts_nothing_and_a_pruned_one_says_what_it_is(made, tmp_path):
    path = as_array(made.pixels[:1], tmp_path / "x.npy")
    sentence = made.refusal(*path, run=made.diverged)
    assert f"Run {made.diverged.state.run_id[:8]} diverged: its weights predict nothing" in sentence
    done = made.predict(*path, run=made.pruned)
    assert done.exit_code == 0
    assert (
        f"Note: run {made.pruned.state.run_id[:8]} did not train to its end: it is KILLED ("
        in done.stderr
    )


@pytest.fixture
def weights(made):
    """The run's weights, put back behind the test."""
    whole = made.weights.read_bytes()
    yield made.weights
    made.weights.write_bytes(whole)


def test_weights_that_were_changed_after_the_run_are_not_used(made, tmp_path, weights):
    path = as_array(made.pixels[:1], tmp_path / "x.npy")
    with np.load(weights) as file:
        arrays = dict(file)
    arrays["b2"][3] = np.nextafter(arrays["b2"][3], np.float32(1))  # by the last bit
    np.savez(weights, **arrays)
    sentence = made.refusal(*path)
    assert re.search(
        r"Run \w{8} has other weights than it recorded: the SHA-256 of .*weights\.npz is \w{12}…, "
        r"the tag weights_sha256 says \w{12}…\. The file was changed or damaged\.",
        sentence,
    )


@pytest.mark.parametrize("how", ["cut", "another file", "without b2", "pickled"])
def test_weights_that_cannot_be_read_are_reported_as_broken(made, tmp_path, weights, how):
    path = as_array(made.pixels[:1], tmp_path / "x.npy")
    with np.load(weights) as file:
        arrays = dict(file)
    if how == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "another file":
        weights.write_text("W1")
    else:
        arrays.pop("b2")
        extra = {"b2": np.array([print], object)} if how == "pickled" else {}
        np.savez(weights, **arrays, **extra)
    assert re.search(r"Run \w{8} has broken weights: .* cannot be read \(", made.refusal(*path))


def test_weights_that_are_missing_are_reported_as_lost(made, tmp_path, weights):
    path = as_array(made.pixels[:1], tmp_path / "x.npy")
    weights.unlink()
    assert f"has lost its weights: there is no {weights}" in made.refusal(*path)


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    path = as_array(DIGIT, tmp_path / "x.npy")
    uri = f"sqlite:///{tmp_path}/none.db"
    done = CliRunner().invoke(main, ["predict", "last", str(path[0]), "--uri", uri])
    assert done.exit_code == 2
    assert done.stderr == f"There is no tracking store {uri}: check --uri.\n"
    assert not (tmp_path / "none.db").exists()


def test_sixty_thousand_images_are_never_all_converted_to_floats_at_once(made, tmp_path):
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (60_000, 784))[0] = 255
    params = read_weights(made.weights.parent)
    tracemalloc.start()
    labels, _ = classify(params, load_images([path], 784))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(labels) == 60_000
    assert peak < 60_000 * 784  # bytes; all of them in float32 would be four times as much


@pytest.mark.long
def test_a_run_that_was_trained_with_another_white_classifies_its_own_file_alike(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 17, (40, 16))
    lines = [",".join(map(str, [*row, label % 3])) for label, row in enumerate(pixels)]
    data = tmp_path / "digits.csv"
    data.write_text("\n".join(lines))
    done = run_py(
        "data=file", f"data.path={data}", "data.pixel_max=16", "data.val_size=8", "epochs=3",
        "pictures=0", root=tmp_path, check=True,
    )  # fmt: skip
    assert "pixels from 0 to 16" in done.stdout + done.stderr
    predicted = CliRunner().invoke(main, ["predict", "last", str(data)])
    assert predicted.exit_code == 0, predicted.output
    assert "white is 16" in predicted.stderr
    given = CliRunner().invoke(main, ["predict", "last", str(data), "--pixel-max", "16"])
    assert given.stdout == predicted.stdout
    refused = CliRunner().invoke(main, ["predict", "last", str(data), "--pixel-max", "15"])
    assert refused.exit_code == 2
    assert "which --pixel-max 15 says is white" in refused.stderr


@pytest.mark.long
def test_a_run_that_was_trained_on_transposed_images_classifies_such_files_alike(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=np.arange(40) % 3)
    Image.fromarray(images[0].T).save(tmp_path / "upright.png")
    done = run_py(
        "data=file", f"data.path={tmp_path}/mnist.npz", "data.transpose=true", "data.val_size=8",
        "epochs=3", "pictures=0", root=tmp_path, check=True,
    )  # fmt: skip
    run_id = re.search(r"^  run +(\w+)$", done.stdout, re.MULTILINE)[1]
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    params = read_weights(store.download(run_id, "weights.npz").parent)
    upright = load_images([tmp_path / "mnist.npz"], 16, transpose=True)
    labels, _ = classify(params, upright)
    np.testing.assert_array_equal(upright.pixels, images.transpose(0, 2, 1).reshape(40, 16))

    predicted = CliRunner().invoke(main, ["predict", run_id, str(tmp_path / "mnist.npz")])
    assert "images transposed, as those that the run trained on" in predicted.stderr
    rows = list(csv.DictReader(io.StringIO(predicted.stdout)))
    assert [int(row["label"]) for row in rows] == labels.tolist()
    picture = CliRunner().invoke(main, ["predict", run_id, str(tmp_path / "upright.png")])
    (row,) = csv.DictReader(io.StringIO(picture.stdout))
    assert int(row["label"]) == labels[0]
