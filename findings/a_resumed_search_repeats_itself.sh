#!/usr/bin/env bash
# A seeded search that is resumed from its storage suggests again what it suggested before.
#
# Guess:  A study in a storage, resumed by the same script with TPESampler(seed=0), goes on where it was: new points.
# Seen:   The sampler begins its random numbers anew and does not ask what the study has: the 5 trials after a resume are the
#         first 5 again, scored anew. QMCSampler, whose points have numbers, and
#         GridSampler, which asks what is done, go on; RandomSampler repeats. A sampler without a seed goes on.
# Here:   mgbench tune makes all suggestions of a search in one process, and keeps what was scored under keys.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet optuna==5.0.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")
GRID = {"scale": [1.0, 2.0, 3.0, 4.0, 5.0], "temperature": [0.5, 1.0]}
SAMPLERS = {
    "TPE, seed 0": lambda: optuna.samplers.TPESampler(seed=0),
    "random, seed 0": lambda: optuna.samplers.RandomSampler(seed=0),
    "TPE, no seed": lambda: optuna.samplers.TPESampler(),
    "QMC, seed 0": lambda: optuna.samplers.QMCSampler(seed=0, scramble=True),
    "grid, seed 0": lambda: optuna.samplers.GridSampler(GRID, seed=0),
}


def loss(trial):
    return (trial.suggest_float("scale", 1, 8) - 3) ** 2 + (trial.suggest_float("temperature", 0.5, 1) - 0.8) ** 2


def again(name):
    """Of 5 trials after a resume, those that the 5 before it were."""
    for _ in range(2):
        study = optuna.create_study(storage=f"sqlite:///{sys.argv[1]}/s.db", study_name=name, load_if_exists=True, sampler=SAMPLERS[name]())
        study.optimize(loss, n_trials=5)
    points = [tuple(trial.params.values()) for trial in study.trials]
    return sum(point in points[:5] for point in points[5:])


found = {name: again(name) for name in SAMPLERS}
print(f"optuna {optuna.__version__}: of 5 trials after a resume, those that were there: {found}")
assert found == {"TPE, seed 0": 5, "random, seed 0": 5, "TPE, no seed": 0, "QMC, seed 0": 0, "grid, seed 0": 0}
PY
