"""The same training with several libraries, each as its users would write it.

A peer gets pixels in [0, 1], labels, the initial weights of some runs, their learning rates, and
the order of each epoch's mini-batches. ``train(epochs)`` continues the training, and may return how
many seconds it took; ``weights()`` returns ``W1, b1, W2, b2`` in the notes' orientation, with a
leading runs axis. Only the library that a peer needs is imported.

``python benchmarks/peers.py NAME PROBLEM CORES`` is a process that trains on request: it reads an
order in JSON from each line of its standard input, and prints an answer in JSON.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

CLASSES = 10


class Notebook:
    """The notes' loop: NumPy in its default float64, samples as columns, one run after another."""

    def __init__(self, problem):
        dtype = np.float64
        self.x = np.ascontiguousarray(problem["x"].T, dtype)
        self.y = problem["y"]
        self.one_hot = np.eye(CLASSES, dtype=dtype)[self.y].T
        self.runs = [list(run) for run in zip(*(a.astype(dtype) for a in problem["params"]))]
        self.lr, self.batch = problem["lr"], problem["batch"]
        self.orders, self.epoch = problem["orders"], 0

    def train(self, epochs):
        for run, lr in zip(self.runs, self.lr):
            for epoch in range(self.epoch, self.epoch + epochs):
                if self.batch is None:
                    run[:] = self.step(*run, lr, self.x, self.one_hot)
                    continue
                order = self.orders[epoch]
                for start in range(0, len(order), self.batch):
                    rows = order[start : start + self.batch]
                    run[:] = self.step(*run, lr, self.x[:, rows], self.one_hot[:, rows])
        self.epoch += epochs

    @staticmethod
    def step(w1, b1, w2, b2, lr, x, one_hot):
        m = x.shape[1]
        z1 = w1.dot(x) + b1
        a1 = np.maximum(z1, 0)
        z2 = w2.dot(a1) + b2
        e = np.exp(z2 - z2.max(axis=0))
        a2 = e / e.sum(axis=0)
        dz2 = a2 - one_hot
        dw2 = 1 / m * dz2.dot(a1.T)
        db2 = 1 / m * dz2.sum(axis=1, keepdims=True)
        dz1 = w2.T.dot(dz2) * (z1 > 0)
        dw1 = 1 / m * dz1.dot(x.T)
        db1 = 1 / m * dz1.sum(axis=1, keepdims=True)
        return w1 - lr * dw1, b1 - lr * db1, w2 - lr * dw2, b2 - lr * db2

    def weights(self):
        return [np.stack(arrays) for arrays in zip(*self.runs)]


class Torch:
    """PyTorch as its tutorials have it: modules, autograd, SGD; one run after another."""

    compiled = False

    def __init__(self, problem):
        import torch

        self.torch = torch
        torch.set_num_threads(problem["cores"])
        self.x = torch.from_numpy(problem["x"])
        self.y = torch.from_numpy(problem["y"])
        torch.set_default_dtype(self.x.dtype)  # of the modules' parameters
        self.batch, self.epoch = problem["batch"], 0
        self.orders = [torch.from_numpy(order) for order in problem["orders"]]
        self.runs = []
        for w1, b1, w2, b2, lr in zip(*problem["params"], problem["lr"]):
            model = torch.nn.Sequential(
                torch.nn.Linear(w1.shape[1], w1.shape[0]),
                torch.nn.ReLU(),
                torch.nn.Linear(w2.shape[1], w2.shape[0]),
            )
            with torch.no_grad():
                for value, start in zip(model.parameters(), (w1, b1[:, 0], w2, b2[:, 0])):
                    value.copy_(torch.from_numpy(start))
            call = torch.compile(model) if self.compiled else model
            self.runs.append((model, call, torch.optim.SGD(model.parameters(), lr=lr)))

    def train(self, epochs):
        cross_entropy = self.torch.nn.functional.cross_entropy
        for _, model, optimizer in self.runs:
            for epoch in range(self.epoch, self.epoch + epochs):
                for x, y in self.batches(epoch):
                    optimizer.zero_grad()
                    loss = cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
        self.epoch += epochs

    def batches(self, epoch):
        if self.batch is None:
            return [(self.x, self.y)]
        return ((self.x[rows], self.y[rows]) for rows in self.orders[epoch].split(self.batch))

    def weights(self):
        runs = [[p.detach().numpy() for p in model.parameters()] for model, _, _ in self.runs]
        w1, b1, w2, b2 = (np.stack(arrays) for arrays in zip(*runs))
        return [w1, b1[..., None], w2, b2[..., None]]


class TorchCompiled(Torch):
    """The same with ``torch.compile``."""

    compiled = True


class TorchStacked(Torch):
    """All runs at once: parameters stacked, ``torch.func.vmap`` of the gradient."""

    def __init__(self, problem):
        import torch

        self.torch = torch
        torch.set_num_threads(problem["cores"])
        self.x = torch.from_numpy(problem["x"])
        self.y = torch.from_numpy(problem["y"])
        self.batch, self.epoch = problem["batch"], 0
        self.orders = [torch.from_numpy(order) for order in problem["orders"]]
        w1, b1, w2, b2 = (torch.from_numpy(array.copy()) for array in problem["params"])
        self.params = (w1, b1[..., 0], w2, b2[..., 0])
        self.lr = torch.tensor(problem["lr"], dtype=w1.dtype)

        def loss(params, x, y):
            w1, b1, w2, b2 = params
            a1 = torch.relu(torch.nn.functional.linear(x, w1, b1))
            return torch.nn.functional.cross_entropy(torch.nn.functional.linear(a1, w2, b2), y)

        self.gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None))

    def train(self, epochs):
        for epoch in range(self.epoch, self.epoch + epochs):
            for x, y in self.batches(epoch):
                slopes = self.gradient(self.params, x, y)
                self.params = tuple(
                    value - self.lr.view(-1, *[1] * (value.ndim - 1)) * slope
                    for value, slope in zip(self.params, slopes)
                )
        self.epoch += epochs

    def weights(self):
        w1, b1, w2, b2 = (value.numpy() for value in self.params)
        return [w1, b1[..., None], w2, b2[..., None]]


class Jax:
    """JAX: ``jit`` of the whole epoch's gradient step; one run after another."""

    stacked = False

    def __init__(self, problem):
        import jax
        import jax.numpy as jnp

        if problem["dtype"] == "float64":
            jax.config.update("jax_enable_x64", True)
        self.jax = jax
        self.x, self.y = jnp.asarray(problem["x"]), jnp.asarray(problem["y"])
        self.batch, self.epoch, self.orders = problem["batch"], 0, problem["orders"]
        w1, b1, w2, b2 = (jnp.asarray(array) for array in problem["params"])
        self.params = (w1, b1[..., 0], w2, b2[..., 0])
        self.lr = jnp.asarray(problem["lr"], w1.dtype)

        def loss(params, x, y):
            w1, b1, w2, b2 = params
            logits = jax.nn.relu(x @ w1.T + b1) @ w2.T + b2
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()

        def step(params, lr, x, y):
            slopes = jax.grad(loss)(params, x, y)
            return tuple(value - lr * slope for value, slope in zip(params, slopes))

        if self.stacked:
            step = jax.vmap(step, in_axes=(0, 0, None, None))
        self.step = jax.jit(step)
        self.rows = jax.jit(lambda x, y, rows: (x[rows], y[rows]))

    def train(self, epochs):
        if self.stacked:
            self.params = self.run(self.params, self.lr, epochs)
        else:
            trained = [
                self.run(tuple(value[run] for value in self.params), self.lr[run], epochs)
                for run in range(len(self.lr))
            ]
            self.params = tuple(self.jax.numpy.stack(arrays) for arrays in zip(*trained))
        self.jax.block_until_ready(self.params)
        self.epoch += epochs

    def run(self, params, lr, epochs):
        for epoch in range(self.epoch, self.epoch + epochs):
            if self.batch is None:
                params = self.step(params, lr, self.x, self.y)
                continue
            order = self.orders[epoch]
            for start in range(0, len(order), self.batch):
                x, y = self.rows(self.x, self.y, order[start : start + self.batch])
                params = self.step(params, lr, x, y)
        return params

    def weights(self):
        w1, b1, w2, b2 = (np.asarray(value) for value in self.params)
        return [w1, b1[..., None], w2, b2[..., None]]


class JaxStacked(Jax):
    """All runs at once: ``jit(vmap)`` of the step."""

    stacked = True


class Sklearn:
    """scikit-learn's ``MLPClassifier``: plain gradient descent, a ``partial_fit`` each epoch."""

    def __init__(self, problem):
        from sklearn.neural_network import MLPClassifier

        self.x, self.y = problem["x"], problem["y"]
        self.runs = []
        for w1, b1, w2, b2, lr in zip(*problem["params"], problem["lr"]):
            model = MLPClassifier(
                (w1.shape[0],), solver="sgd", alpha=0.0, momentum=0.0, learning_rate_init=lr,
                batch_size=problem["batch"] or len(self.x), shuffle=False,
            )  # fmt: skip
            model.partial_fit(self.x[: CLASSES * 9], self.y[: CLASSES * 9], classes=range(CLASSES))
            model.coefs_ = [w1.T.copy(), w2.T.copy()]
            model.intercepts_ = [b1[:, 0].copy(), b2[:, 0].copy()]
            model._optimizer.params = model.coefs_ + model.intercepts_  # noqa: SLF001
            self.runs.append(model)

    def train(self, epochs):
        for model in self.runs:
            for _ in range(epochs):
                model.partial_fit(self.x, self.y)

    def weights(self):
        return [
            np.stack([model.coefs_[0].T for model in self.runs]),
            np.stack([model.intercepts_[0][:, None] for model in self.runs]),
            np.stack([model.coefs_[1].T for model in self.runs]),
            np.stack([model.intercepts_[1][:, None] for model in self.runs]),
        ]


class Nnlab:
    """nnlab: all runs at once, with the measurements of every epoch."""

    def __init__(self, problem):
        from nnlab.training.arithmetic import arithmetic_of
        from nnlab.training.blocks import make_blocks
        from nnlab.training.engine import State
        from nnlab.training.network import Params
        from nnlab.training.training_data import Batches, TrainingData

        pixels, labels = problem["pixels"], problem["y"].astype(np.int64)
        self.threads = problem["cores"]
        dtype = np.dtype(problem["dtype"])
        train, val = (
            make_blocks(pixels[part], labels[part], (28, 28), dtype)
            for part in (slice(None), slice(0, 1000))
        )
        batches = None
        if problem["batch"] is not None:
            batches = Batches(pixels, labels, problem["batch"], 0, arithmetic_of(dtype))
        self.data = TrainingData(train, val, batches)
        params = Params(*(array.astype(dtype) for array in problem["params"]))
        self.state = State.start(params, problem["lr"])

    def train(self, epochs):
        from nnlab.training.engine import train_segment

        self.state, _ = train_segment(self.state, self.data, epochs, threads=self.threads)

    def weights(self):
        return list(self.state.params)


class NnlabAlone(Nnlab):
    """The same, one run after another."""

    def __init__(self, problem):
        super().__init__(problem)
        self.states = [self.state.select(np.array([run])) for run in range(self.state.runs)]

    def train(self, epochs):
        from nnlab.training.engine import train_segment

        self.states = [
            train_segment(state, self.data, epochs, threads=self.threads)[0]
            for state in self.states
        ]

    def weights(self):
        return [np.concatenate(arrays) for arrays in zip(*(s.params for s in self.states))]


class DenseLimit:
    """No training: the first layer's arithmetic at the speed of large products.

    Both products with all pixels, zeros included, and nothing else: the least time that training
    with dense float products can take. It uses as many cores as the others.
    """

    def __init__(self, problem):
        from concurrent.futures import ThreadPoolExecutor

        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        dtype, (runs, hidden, _) = np.dtype(problem["dtype"]), problem["params"][0].shape
        pixels, cores = problem["x"].shape[1], problem["cores"]
        self.operands = [
            (np.ones((1024, pixels), dtype), np.ones((pixels, 1024), dtype)) for _ in range(cores)
        ]
        self.out = [np.empty((1024, 1024), dtype) for _ in range(cores)]
        self.products = 2 * runs * hidden * len(problem["x"]) / 1024**2 / cores  # of each, an epoch
        self.pool = ThreadPoolExecutor(cores)

    def train(self, epochs):
        def work(core):
            for _ in range(count):
                np.matmul(*self.operands[core], out=self.out[core])

        # A whole number of products, whose time is scaled to the number of products asked for.
        count = max(1, round(self.products * epochs))
        begin = time.perf_counter()
        list(self.pool.map(work, range(len(self.out))))
        seconds = time.perf_counter() - begin
        return seconds * self.products * epochs / count

    def weights(self):
        return []


PEERS = {
    "nnlab": Nnlab,
    "nnlab, run by run": NnlabAlone,
    "notebook (NumPy)": Notebook,
    "PyTorch": Torch,
    "PyTorch, torch.compile": TorchCompiled,
    "PyTorch, torch.func.vmap": TorchStacked,
    "JAX, jit": Jax,
    "JAX, jit(vmap)": JaxStacked,
    "scikit-learn": Sklearn,
    "dense products alone": DenseLimit,
}


def main() -> None:
    """Train on request."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(sys.argv[3])]))
    with np.load(sys.argv[2], allow_pickle=False) as file:
        content = dict(file)
    dtype = np.dtype(str(content["dtype"]))
    problem = {
        "pixels": content["pixels"],
        "x": content["pixels"].astype(dtype) / dtype.type(255),
        "y": content["y"],
        "params": [content[name] for name in ("w1", "b1", "w2", "b2")],
        "lr": content["lr"].tolist(),
        "batch": int(content["batch"]) or None,
        "orders": list(content["orders"]),
        "dtype": dtype.name,
        "cores": int(sys.argv[3]),
    }
    peer = PEERS[sys.argv[1]](problem)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "train":
            begin = time.perf_counter()
            answer = peer.train(order["epochs"]) or time.perf_counter() - begin
        else:
            np.savez(order["file"], *peer.weights())
            answer = "saved"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
