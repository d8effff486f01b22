"""The sweep of ``sweep.py``, as it would be written with PyTorch, MLflow, Hydra and joblib."""

import gzip
from pathlib import Path

import hydra
import mlflow
import numpy as np
import torch
from omegaconf import DictConfig


def read(path: Path) -> np.ndarray:
    """Read an IDX file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def load(folder: str) -> tuple[torch.Tensor, ...]:
    """Load 41,000 images to train on, and 19,000 to validate."""
    (images,) = Path(folder).glob("train-images*")
    (labels,) = Path(folder).glob("train-labels*")
    x = torch.from_numpy(read(images).reshape(-1, 784).astype(np.float32) / 255)
    y = torch.from_numpy(read(labels).astype(np.int64))
    return x[19_000:], y[19_000:], x[:19_000], y[:19_000]


@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config: DictConfig) -> float:
    """Train one network, and log its curves and weights."""
    torch.set_num_threads(1)  # joblib starts a process for each core
    torch.manual_seed(config.seed)
    x, y, val_x, val_y = load(config.data)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, config.hidden_size),
        torch.nn.ReLU(),
        torch.nn.Linear(config.hidden_size, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
    cross_entropy = torch.nn.functional.cross_entropy
    mlflow.set_tracking_uri(config.uri)
    mlflow.set_experiment("sweep")
    with mlflow.start_run():
        mlflow.log_params({"lr": config.lr, "seed": config.seed, "epochs": config.epochs})
        for epoch in range(config.epochs):
            optimizer.zero_grad()
            logits = model(x)
            loss = cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                val = model(val_x)
                metrics = {
                    "train/loss": loss.item(),
                    "train/accuracy": (logits.argmax(1) == y).float().mean().item(),
                    "val/loss": cross_entropy(val, val_y).item(),
                    "val/accuracy": (val.argmax(1) == val_y).float().mean().item(),
                }
            mlflow.log_metrics(metrics, step=epoch)
        np.savez("weights.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
        mlflow.log_artifact("weights.npz")
    return metrics["val/accuracy"]


if __name__ == "__main__":
    main()
