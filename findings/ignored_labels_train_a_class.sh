#!/usr/bin/env bash
# The label -100, which PyTorch leaves out, is the hundredth class from the end in optax.
#
# Guess:  Labels that are prepared for PyTorch, where -100 marks tokens that do not count, either do not count in optax or
#         give an error or NaN, as a label behind the last class does.
# Seen:   Labels are Python indices there: with 1,024 codes, -100 is code 924, with a finite loss and a gradient that raises
#         this code at every token that should not count. Behind the last class the loss is NaN.
# Here:   mgbench takes the loss of the hidden tokens alone and has no label that means 'none'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 optax==0.2.8 ml-dtypes==0.6.0 numpy==2.4.6 scipy==1.17.1
JAX_PLATFORMS=cpu OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
import optax

logits = jax.random.normal(jax.random.key(0), (1024,))


def loss(logits, label):
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.array(label))


ignored, class_924, behind = (float(loss(logits, label)) for label in (-100, 924, 1024))
pulled = np.asarray(jax.grad(loss)(logits, -100))
print(f"optax {optax.__version__}, jax {jax.__version__}: the loss of label -100 is {ignored:.3f}, of 924 {class_924:.3f}, of 1024 {behind};"
      f" a step on label -100 raises code {pulled.argmin()} by {-pulled.min():.3f}")
assert np.isfinite(ignored) and ignored == class_924
assert np.isnan(behind)
assert pulled.argmin() == 924 and pulled.min() < -0.9
PY
