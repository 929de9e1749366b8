"""One of several processes that add up what each has; all_reduce.py BACKEND, its place in the environment."""

from __future__ import annotations

import sys

import torch
from torch import distributed

backend = sys.argv[1]
distributed.init_process_group(backend)
rank, size = distributed.get_rank(), distributed.get_world_size()
device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
if backend == "nccl":
    torch.cuda.set_device(device)
numbers = torch.full((1 << 20,), float(rank + 1), device=device)
distributed.all_reduce(numbers)
expected = size * (size + 1) / 2
assert bool((numbers == expected).all()), numbers
distributed.destroy_process_group()
