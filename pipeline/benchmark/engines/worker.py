"""Main module of a contender's process: ``python -m pipeline.benchmark.engines.worker BACKEND FOLDER THREADS``."""

import sys
from pathlib import Path

from pipeline.benchmark.engines import find
from runtime.benchmark.worker import serve

if __name__ == "__main__":
    backend, folder, threads = sys.argv[1:]
    serve(lambda: find(backend).load(Path(folder), int(threads)))
