"""Does memory grow with a cache of tokens? A synthetic one of ImageNet's size is opened, sampled and iterated.

    OMP_NUM_THREADS=1 python -m benchmarks.latent_cache

from the root of the repository. The cache has 1,281,167 rows of 256 tokens of 16 float16 numbers, in the shards that a run
writes; its files are holes, which take no room on the disk and are read as zeros. A process of its own for each size opens it,
draws `--steps` batches of `--batch` random rows as training does, and goes through all of it in order. Printed are its largest
memory (VmHWM of the kernel, which counts mapped files too), what that is above a process that only imports, and times.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mgbench.stages.shards import ShardedTokens, Shards, rows_of_a_shard
from mgbench.stages.train import batch_rows

SHAPE, DTYPE = (256, 16), np.dtype("float16")
ROW_BYTES = 256 * 16 * 2
COUNTS = (0, 10_000, 100_000, 1_281_167)


def synthetic(folder: Path, count: int) -> Shards:
    """A cache of so many rows whose files are holes."""
    shards = Shards(folder, count, rows_of_a_shard(ROW_BYTES, 256))
    for number in range(len(shards)):
        rows = shards.rows(number)
        shape = (rows.stop - rows.start, *SHAPE)
        with shards.file(number).open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(DTYPE), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
            file.truncate(file.tell() + shape[0] * ROW_BYTES)
    return shards


def most_memory() -> float:
    """The largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def measure(count: int, steps: int, batch: int) -> str:
    """One line of the table, measured in this process."""
    if not count:
        return f"| nothing | 0 | {most_memory():.0f} | | | |"
    with tempfile.TemporaryDirectory() as folder:
        shards = synthetic(Path(folder), count)
        started = time.perf_counter()
        tokens = ShardedTokens([shards], torch.device("cpu"))
        opened = time.perf_counter() - started
        started = time.perf_counter()
        for step in range(steps):
            tokens[batch_rows(0, step, batch, count)]
        drawn = (time.perf_counter() - started) / steps
        started = time.perf_counter()
        seen = sum(len(part) for part in tokens.batches(batch))
        passed = time.perf_counter() - started
        assert seen == count
    size = count * ROW_BYTES / 2**30
    return f"| {count:,} | {size:.2f} | {most_memory():.0f} | {opened * 1e3:.1f} | {drawn * 1e3:.1f} | {passed:.1f} |"


def main() -> None:
    """Measure every size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2048, help="rows of a step (default: 2048)")
    parser.add_argument("--steps", type=int, default=50, help="steps that draw random rows (default: 50)")
    parser.add_argument("--count", type=int, help="measure this size only, in this process")
    given = parser.parse_args()
    if given.count is not None:
        print(measure(given.count, given.steps, given.batch))
        return
    print("| images | GiB of tokens | most memory, MiB | opening, ms | a random batch, ms | one pass, s |")
    print("|---|---|---|---|---|---|")
    for count in COUNTS:
        each = [f"--batch={given.batch}", f"--steps={given.steps}", f"--count={count}"]
        subprocess.run([sys.executable, "-m", "benchmarks.latent_cache", *each], check=True)


if __name__ == "__main__":
    main()
