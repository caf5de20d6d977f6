"""The post's JAX code: the loss, and one step of SGD. For jax_eager.py, jax_jit.py and jax_scan.py."""

import jax
import jax.numpy as jnp

VERSION = f"jax {jax.__version__}"


def loss_of(parameters, contexts, targets):
    C, W1, b1, W2, b2 = parameters
    hidden = jnp.tanh(C[contexts].reshape((-1, W1.shape[0])) @ W1 + b1)
    logits = hidden @ W2 + b2
    logits -= logits.max(1, keepdims=True)
    counts = jnp.exp(logits)
    probabilities = counts / counts.sum(1, keepdims=True)
    return -jnp.log(probabilities[jnp.arange(contexts.shape[0]), targets]).mean()


def step(parameters, contexts, targets, learning_rate):
    _, gradients = jax.value_and_grad(loss_of)(parameters, contexts, targets)
    return tuple(p - learning_rate * gradient for p, gradient in zip(parameters, gradients))


def on_device(data):
    """Initial parameters, contexts, targets."""
    return tuple(map(jnp.array, data.initial)), jnp.array(data.contexts), jnp.array(data.targets)
