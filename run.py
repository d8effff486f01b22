"""Train one network, or with -m a sweep of them: ``python run.py --help``."""

import hydra
from omegaconf import DictConfig

from nnlab import app


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    """Train the network that the config defines; return its validation accuracy."""
    return app.train_one(config)


if __name__ == "__main__":
    app.run(main)
