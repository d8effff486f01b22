"""A finished run's network as an MLflow model, which MLflow serves without nnlab.

The model holds copies of ``tracking.served_model`` and of the weights, and names the former as its
loader module: nothing is pickled, and no path of this machine is written into it.
It has no input schema: MLflow would enforce one before the model sees its input, and an integer
schema silently rounds scaled pixels down to zeros, while another one refuses a CSV.
"""

import os
import platform
import shutil
import warnings
from pathlib import Path

import numpy as np

from nnlab.tracking import served_model
from nnlab.training.network import Params

MODEL = "model"  # the folder among a run's files


def save_model(folder: Path, final: Params) -> None:
    """Save the network whose ``weights.npz`` is in a run's folder as ``model/``, beside it.

    A folder of that name, left by an interrupted run, is replaced.

    Parameters
    ----------
    folder : Path
        The run's.
    final : Params
        The weights in that file: a stack of one.
    """
    # MLflow would copy the uv.lock of the project in the working directory.
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
    with warnings.catch_warnings():
        # MLflow warns of its own type hints, and that there is no example input.
        warnings.simplefilter("ignore", UserWarning)
        import mlflow
        from mlflow import pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        classes, dtype = final.w2.shape[1], final.w2.dtype
        label = TensorSpec(np.dtype(np.int64), (-1,), "label")
        probabilities = TensorSpec(dtype, (-1, classes), "probabilities")
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        pyfunc.save_model(
            folder / MODEL,
            loader_module=served_model.__name__.rpartition(".")[2],
            code_paths=[served_model.__file__],
            data_path=str(folder / "weights.npz"),
            signature=ModelSignature(outputs=Schema([label, probabilities])),
            metadata={"input": f"(images, {final.w1.shape[2]}): whole numbers from 0 to 255"},
            # Given in full, so that MLflow neither infers requirements nor looks for a pip.
            conda_env={
                "name": MODEL,
                "channels": ["conda-forge"],
                "dependencies": [
                    f"python={platform.python_version()}",
                    "pip",
                    {"pip": [f"mlflow=={mlflow.__version__}", f"numpy=={np.__version__}"]},
                ],
            },
        )
