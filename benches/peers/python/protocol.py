"""The protocol of ../README.md, once for every Python peer.

A peer is a class that `serve` makes with the data and the flag --own-batches. It has

    version        the library and its version
    first_step()   compiles and runs one step on throw-away state
    train()        from the initial parameters, runs the steps; returns (seconds of the loop, parameters)

Its module imports this one before its framework: the clock starts here, and here the threads are limited.
"""

import time

STARTED = time.perf_counter()

import os

# One thread for everyone. Read by the libraries when they are imported, hence before them.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np


def read(folder, name, dtype, shape):
    path = Path(folder, name)
    if not path.is_file():
        sys.exit(f"{path} is missing")
    values = np.fromfile(path, dtype=dtype)
    count = int(np.prod(shape))
    if len(values) < count:
        sys.exit(f"{path} holds {len(values)} values of {np.dtype(dtype).name}, {count} are wanted")
    return values[:count].reshape(shape)


def load(folder, steps):
    path = Path(folder, "shape.json")
    if not path.is_file():
        sys.exit(f"{path} is missing")
    s = SimpleNamespace(**json.loads(path.read_text()))
    s.steps = steps
    s.indices = read(folder, "indices.u32", "<u4", (steps, s.batch)).astype(np.int64)
    if is_of_features(s):
        s.features = read(folder, "features.f32", "<f4", (s.examples, s.widths[0]))
        if s.head == "regression":
            s.targets = read(folder, "targets.f32", "<f4", (s.examples, s.widths[-1]))
        else:
            s.targets = read(folder, "targets.f32", "<f4", (s.examples,)).astype(np.int64)
        layers = zip(s.widths, s.widths[1:])
        shapes = [shape for inputs, outputs in layers for shape in [(inputs, outputs), (outputs,)]]
    else:
        s.contexts = read(folder, "contexts.u8", np.uint8, (s.examples, s.context)).astype(np.int64)
        s.targets = read(folder, "targets.u8", np.uint8, (s.examples,)).astype(np.int64)
        shapes = [
            (s.vocab, s.embed), (s.context * s.embed, s.hidden), (s.hidden,), (s.hidden, s.vocab), (s.vocab,),
        ]  # C, W1, b1, W2, b2
    sizes = [int(np.prod(shape)) for shape in shapes]
    flat = read(folder, "initial.f32", "<f4", (sum(sizes),))
    s.initial = [part.reshape(shape).copy() for part, shape in zip(np.split(flat, np.cumsum(sizes)[:-1]), shapes)]
    return s


def is_of_features(shape):
    return hasattr(shape, "widths")


def full_loss(parameters, data):
    """Mean loss of all examples in f64: one judge for all peers, outside the timed part."""
    parameters = [np.asarray(p, dtype=np.float64) for p in parameters]
    loss_of = features_loss if is_of_features(data) else tokens_loss
    parts = (slice(start, start + 16384) for start in range(0, data.examples, 16384))
    return sum(loss_of(parameters, data, part).sum() for part in parts) / data.examples


def tokens_loss(parameters, data, part):
    C, W1, b1, W2, b2 = parameters
    x = C[data.contexts[part]].reshape(-1, W1.shape[0])
    return cross_entropy(np.tanh(x @ W1 + b1) @ W2 + b2, data.targets[part])


def features_loss(parameters, data, part):
    outputs = data.features[part].astype(np.float64)
    for weights, bias in zip(parameters[::2], parameters[1::2]):
        outputs = outputs @ weights + bias
        if weights is not parameters[-2]:
            outputs = np.tanh(outputs) if data.activation == "tanh" else np.maximum(outputs, 0)
    targets = data.targets[part]
    if data.head == "regression":
        return ((outputs - targets) ** 2).mean(1)
    if data.head == "binary":
        return np.logaddexp(0, outputs[:, 0]) - targets * outputs[:, 0]
    return cross_entropy(outputs, targets)


def cross_entropy(logits, targets):
    top = logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    return log_sum - logits[np.arange(len(targets)), targets]


def say(**message):
    print(json.dumps(message), flush=True)


def serve(name, peer, own_batches=False):
    """Runs the protocol. `own_batches`: does the peer know the flag?"""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", required=True, type=int)
    if own_batches:
        parser.add_argument("--own-batches", action="store_true", help="draw the batches inside the timed loop")
    arguments = parser.parse_args()
    data = load(arguments.data, arguments.steps)
    own = own_batches and arguments.own_batches

    peer = peer(data, own)
    peer.first_step()
    startup = time.perf_counter() - STARTED
    say(ready=True, name=name + (" (own batches)" if own else ""), version=peer.version, startup_seconds=startup)

    for line in sys.stdin:
        command = line.strip()
        if command == "quit":
            return
        if command != "train":
            say(error=f"unknown command {command!r}: this peer knows train and quit")
            continue
        seconds, parameters = peer.train()
        say(seconds=seconds, loss=float(full_loss(parameters, data)))
