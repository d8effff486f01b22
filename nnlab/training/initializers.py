"""Initial weights: one family, ``W = scale · z + shift``, with ``z`` from N(0, 1) or U(0, 1).

*Common random numbers*: a seed draws the same ``z`` whatever the scale and the shift, so two
inits under one seed are a paired comparison.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

from nnlab.arrays import Array
from nnlab.training.arithmetic import arithmetic_of
from nnlab.training.network import Params

Draw = Literal["normal", "uniform"]
Bias = Literal["zeros", "same"]
FanRule = Literal["he", "glorot", "lecun"]
InitName = Literal[
    "randn_minus_half",
    "rand_minus_half",
    "randn",
    "randn_small",
    "he",
    "glorot",
    "lecun",
    "normal",
    "uniform",
]
INIT_NAMES: tuple[str, ...] = get_args(InitName)
FREE_INITS = ("normal", "uniform")  # those whose scale and shift a config may choose


@dataclass(frozen=True)
class Initializer:
    """``W = scale · z + shift``, and how the biases start.

    Attributes
    ----------
    draw : Draw
        What ``z`` is drawn from: ``normal``, N(0, 1), or ``uniform``, U(0, 1).
    scale : float or FanRule
        A number, or the rule that derives it from the layer's fans (see ``fan_scale``).
    shift : float
        Added to every weight.
    bias : Bias
        ``zeros`` (the notes' "init 0") or ``same``, drawn from the same family (the notes also
        write ``randn(10, 1)``).
    """

    draw: Draw
    scale: float | FanRule
    shift: float = 0.0
    bias: Bias = "zeros"


def named(
    name: InitName, *, scale: float = 1.0, shift: float = 0.0, bias: Bias = "zeros"
) -> Initializer:
    """Return the initializer of this name; ``scale`` and ``shift`` count for the free ones only."""
    match name:
        case "randn_minus_half":  # the notes' first line: randn(10, 784) - 0.5
            return Initializer("normal", 1.0, -0.5, bias)
        case "rand_minus_half":  # what the video types: rand(10, 784) - 0.5
            return Initializer("uniform", 1.0, -0.5, bias)
        case "randn":  # the notes' "or randn()"
            return Initializer("normal", 1.0, 0.0, bias)
        case "randn_small":  # the notes' "smaller": randn() * 0.01
            return Initializer("normal", 0.01, 0.0, bias)
        case "he" | "glorot" | "lecun":
            return Initializer("normal", name, 0.0, bias)
        case "normal":
            return Initializer("normal", scale, shift, bias)
        case "uniform":
            return Initializer("uniform", scale, shift, bias)


def fan_scale(rule: FanRule, fan_in: int, fan_out: int) -> float:
    """Return the standard deviation that a rule gives a layer, by its inputs and outputs a unit.

    ``he``: √(2 / fan_in), He et al. 2015, "Delving deep into rectifiers", eq. 10.
    ``glorot``: √(2 / (fan_in + fan_out)), Glorot & Bengio 2010, "Understanding the difficulty of
    training deep feedforward neural networks", eq. 12 (there of a uniform draw; here a normal one
    of the same variance, so that all inits share their random numbers).
    ``lecun``: √(1 / fan_in), LeCun et al. 1998, "Efficient BackProp", eq. 16.
    """
    match rule:
        case "he":
            return math.sqrt(2 / fan_in)
        case "glorot":
            return math.sqrt(2 / (fan_in + fan_out))
        case "lecun":
            return math.sqrt(1 / fan_in)


def draw_params(
    init: Initializer, seed: int, *, pixels: int, hidden: int, classes: int, dtype: DTypeLike
) -> Params:
    """Draw the parameters of one run: a stack of one.

    Each of the four arrays has its own stream, spawned from ``SeedSequence(seed)`` in the order
    W1, W2, b1, b2. The draw is made in float64 and then rounded to ``dtype``. Normal draws of
    ``exact`` are others than those of float32 and float64.

    Parameters
    ----------
    init : Initializer
    seed : int
    pixels, hidden, classes : int
        Sizes of the layers.
    dtype : DTypeLike
        float32, float64 or exact.
    """
    arithmetic = arithmetic_of(dtype)
    w1_stream, w2_stream, b1_stream, b2_stream = np.random.SeedSequence(seed).spawn(4)

    def weights(stream: np.random.SeedSequence, rows: int, columns: int, fan_in: int) -> Array:
        shape = (1, rows, columns)
        draw = arithmetic.normal if init.draw == "normal" else arithmetic.uniform
        z = draw(stream, shape)
        scale = fan_scale(init.scale, fan_in, rows) if isinstance(init.scale, str) else init.scale
        return np.asarray(scale * z + init.shift, arithmetic.dtype)

    def biases(stream: np.random.SeedSequence, rows: int, fan_in: int) -> Array:
        if init.bias == "zeros":
            return np.zeros((1, rows, 1), arithmetic.dtype)
        return weights(stream, rows, 1, fan_in)

    return Params(
        w1=weights(w1_stream, hidden, pixels, pixels),
        b1=biases(b1_stream, hidden, pixels),
        w2=weights(w2_stream, classes, hidden, hidden),
        b2=biases(b2_stream, classes, hidden),
    )


def independent(fields: list[str], inits: Collection[str]) -> list[str]:
    """Leave out the config fields that follow from ``init.name``, where that varies too.

    Parameters
    ----------
    fields : list of str
        Config fields that vary among some runs.
    inits : collection of str
        The runs' values of ``init.name``.
    """
    if "init.name" not in fields:
        return fields
    follow = {"init.draw"}
    if not set(inits) & set(FREE_INITS):
        follow |= {"init.scale", "init.shift"}
    return [field for field in fields if field not in follow]
