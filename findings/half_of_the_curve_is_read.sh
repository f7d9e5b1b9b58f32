#!/usr/bin/env bash
# TensorBoard gives back half of 20,000 numbers that were logged.
#
# Guess:  EventAccumulator, with which scripts read event files to draw learning curves, gives all 20,000 losses that a run
#         logged.
# Seen:   It gives 10,000 of them, drawn at random: the first is not that of the first step, and sums, smoothed curves and
#         "steps until the loss was below" are others. Of 100 pictures of samples it gives 4 at random steps. With
#         size_guidance={"scalars": 0} it gives all.
# Here:   mgbench draws its curves from its own files, and writes event files only for others to look at.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboard==2.21.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" 2> "$folder/said" <<'PY' || { cat "$folder/said"; exit 1; }
import sys

import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

STEPS = 20_000


def image(step):
    return Summary.Value(tag="samples", image=Summary.Image(height=1, width=1, colorspace=1, encoded_image_string=b"png"))


writer = EventFileWriter(sys.argv[1])
for step in range(STEPS):
    values = [Summary.Value(tag="loss", simple_value=step)] + [image(step)] * (step % 200 == 0)
    writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=values)))
writer.close()


def read(**options):
    events = EventAccumulator(sys.argv[1], **options)
    events.Reload()
    return [event.step for event in events.Scalars("loss")], [event.step for event in events.Images("samples")]


(losses, images), (every, _) = read(), read(size_guidance={"scalars": 0})
print(f"tensorboard {tensorboard.__version__}: of {STEPS:,} losses {len(losses):,} are read, from steps {losses[:3]} to {losses[-1]:,};"
      f" of {STEPS // 200} pictures those of steps {images}; with size_guidance {len(every):,} losses")
assert len(losses) == 10_000 and losses != list(range(0, STEPS, 2)) and losses[-1] == STEPS - 1
assert len(images) == 4
assert every == list(range(STEPS))
PY
