"""From a config to what training reads: the dataset, its split, its digest, its blocks."""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from nnlab.data import sources
from nnlab.data.columns import Choice
from nnlab.data.dataset import Dataset, Split, data_digest, split_dataset
from nnlab.data.file_source import Reading, load_file
from nnlab.errors import DataError
from nnlab.jobs.config import DataConfig, RunConfig
from nnlab.training.blocks import Block, make_blocks
from nnlab.training.training_data import TrainingData


@dataclass(frozen=True, eq=False)
class PreparedData:
    """One dataset under one split; its blocks are made when they are first needed.

    Attributes
    ----------
    dataset : Dataset
        Images and labels.
    split : Split
        Indices of the training and validation images.
    digest : str
        SHA-256, in hex, of images, labels and split.
    """

    dataset: Dataset
    split: Split
    digest: str

    def training(self, config: RunConfig) -> TrainingData:
        """Return the blocks on which runs of a config train; made once for all of them."""
        return self._training(config.dtype, config.batch_size, config.seed_of_order)

    @cache  # noqa: B019 - lives as long as the session, like the data itself
    def _training(self, dtype: str, batch_size: int | None, seed: int | None) -> TrainingData:
        return TrainingData.prepare(self.dataset, self.split, dtype, batch_size, seed)

    @cache  # noqa: B019 - lives as long as the session, like the data itself
    def test(self, dtype: str) -> tuple[Block, ...]:
        """Return the blocks of the test images, made once; empty where the dataset has none."""
        dataset = self.dataset
        if dataset.test_pixels is None or dataset.test_labels is None:
            return ()
        return make_blocks(dataset.test_pixels, dataset.test_labels, dataset.image_shape, dtype)

    @cache  # noqa: B019 - lives as long as the session, like the data itself
    def validation(self, dtype: str) -> tuple[Block, ...]:
        """Return the blocks of the validation images alone, made once."""
        dataset, chosen = self.dataset, self.split.val
        return make_blocks(
            dataset.pixels[chosen], dataset.labels[chosen], dataset.image_shape, dtype
        )

    @cached_property
    def compact_split(self) -> dict[str, np.ndarray]:
        """The split, in the smallest unsigned integers that hold every index."""
        dtype = np.min_scalar_type(len(self.dataset.labels) - 1)
        return {"train": self.split.train.astype(dtype), "val": self.split.val.astype(dtype)}


def prepare(config: DataConfig) -> PreparedData:
    """Load and split a dataset.

    Raises
    ------
    DataError
        Where a file is missing or broken, or ``data.val_size`` leaves nothing to train on.
    """
    dataset = _load(config)
    split = split_dataset(dataset, config.val_size, config.seed)
    return PreparedData(dataset, split, data_digest(dataset, split))


def _load(config: DataConfig) -> Dataset:
    match config.source:
        case "mnist_sample":
            return sources.load_mnist_sample()
        case "mnist":
            return sources.load_mnist(None if config.dir is None else _there(config, "dir"))
        case _:
            path = _there(config, "dir" if config.source == "idx" else "path")
            test = None if config.test_path is None else _there(config, "test_path")
            choice = Choice(config.label_column, config.drop_columns)
            reading = Reading(config.pixel_max, choice, transpose=config.transpose)
            dataset = load_file(config.name, path, reading, test)
            return replace(dataset, source=str(path.absolute()))


def _there(config: DataConfig, field: str) -> Path:
    """Return the path of a field; where a run of another folder is repeated, it must be there."""
    typed = getattr(config, field)
    assert typed is not None, f"conf/data/{config.source}.yaml makes data.{field} mandatory"
    path = config.located(typed)
    if config.cwd is not None and config.cwd != str(Path.cwd()) and not path.exists():
        raise DataError(
            f"{typed}: there is no such file or folder, neither here nor in {config.cwd}, where "
            f"the run was started: say where it is now, data.{field}=…."
        )
    return path
