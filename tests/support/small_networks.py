"""Networks of a few units, their losses and gradients, from the equations alone."""

from nnlab.training.network import (
    DenseInput,
    Params,
    backward,
    evaluate,
    forward,
    output_error,
    softmax,
)


def random_params(rng, runs=1, hidden=4, pixels=6, classes=3, scale=1.0):
    return Params(
        scale * rng.standard_normal((runs, hidden, pixels)),
        scale * rng.standard_normal((runs, hidden, 1)),
        scale * rng.standard_normal((runs, classes, hidden)),
        scale * rng.standard_normal((runs, classes, 1)),
    )


def losses(params, x, labels):
    """Mean cross-entropy of each run."""
    _, z2 = forward(params, DenseInput(x))
    _, loss, _ = evaluate(z2, labels)
    return loss.mean(axis=-1)


def gradients(params, x, labels):
    """Mean gradients of each run."""
    images = DenseInput(x)
    a1, z2 = forward(params, images)
    a2, _ = softmax(z2)
    sums = backward(params, images, a1, output_error(a2, labels, images.work))
    return Params(*(array / labels.size for array in sums))
