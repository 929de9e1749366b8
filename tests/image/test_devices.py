"""Each visible device computes: a kernel, a convolution, bf16, mixed precision, a data loader; several add up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="there is no PyTorch here: these tests are for the inside of an image")

import torch

GPUS = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
DEVICES = [torch.device("cpu"), *GPUS]
NO_GPU = "no GPU is seen here"
gpu = pytest.mark.parametrize(
    "device", GPUS or [pytest.param(None, marks=pytest.mark.skip(reason=NO_GPU))], ids=lambda one: str(one or "GPU")
)
device = pytest.mark.parametrize("device", DEVICES, ids=str)


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


@device
def test_a_product_of_matrices(device: torch.device) -> None:
    one, other = torch.randn(256, 512, dtype=torch.float64), torch.randn(512, 128, dtype=torch.float64)
    torch.testing.assert_close((one.to(device) @ other.to(device)).cpu(), one @ other)


@gpu
def test_a_kernel(device: torch.device) -> None:
    numbers = torch.arange(1 << 20, device=device, dtype=torch.float64)
    assert numbers.mul(2).add(1).sum().item() == float((1 << 20) ** 2)


@gpu
def test_a_convolution_and_its_gradient(device: torch.device) -> None:
    layer = torch.nn.Conv2d(3, 16, 3, dtype=torch.float64)
    data = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    expected = layer(data)
    expected.square().mean().backward()
    gradient = layer.weight.grad.clone()
    layer.zero_grad()
    layer.to(device)
    found = layer(data.to(device))
    found.square().mean().backward()
    torch.testing.assert_close(found.cpu(), expected)
    torch.testing.assert_close(layer.weight.grad.cpu(), gradient)


@gpu
def test_cudnn_is_used(device: torch.device) -> None:
    assert torch.backends.cudnn.is_available()
    assert torch.backends.cudnn.is_acceptable(torch.zeros(1, device=device))


@device
def test_a_product_in_bf16(device: torch.device) -> None:
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        pytest.skip("this GPU has no bf16: it came with compute capability 8.0")
    one, other = torch.randn(512, 512), torch.randn(512, 512)
    found = (one.to(device, torch.bfloat16) @ other.to(device, torch.bfloat16)).float().cpu()
    expected = one @ other
    assert float((found - expected).norm() / expected.norm()) < 0.02


@device
def test_training_in_mixed_precision_learns(device: torch.device) -> None:
    is_gpu = device.type == "cuda"
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 2)
    ).to(device)
    data = torch.randn(64, 1, 8, 8)
    target = (data.mean((1, 2, 3)) > 0).long().to(device)
    data = data.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    # Where it is no longer torch.cuda's, that one only warns.
    makes = getattr(torch.amp, "GradScaler", None)
    scaler = makes("cuda", enabled=is_gpu) if makes else torch.cuda.amp.GradScaler(enabled=is_gpu)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=torch.float16 if is_gpu else torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(data), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(bool(torch.isfinite(one).all()) for one in model.parameters())


@device
def test_a_data_loader_with_workers(device: torch.device) -> None:
    is_gpu = device.type == "cuda"
    rows = torch.arange(256.0).repeat(64, 1).T.contiguous()  # each worker hands its part over in /dev/shm
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(rows), batch_size=32, num_workers=2, pin_memory=is_gpu
    )
    first = []
    for (batch,) in loader:
        assert batch.is_pinned() == is_gpu
        first += batch.to(device, non_blocking=True)[:, 0].tolist()
    assert first == list(range(256))


@pytest.mark.parametrize("backend", ["gloo", "nccl"])
def test_processes_add_up_what_each_has(backend: str) -> None:
    if not torch.distributed.is_available() or not getattr(torch.distributed, f"is_{backend}_available", bool)():
        pytest.skip(f"this PyTorch was made without {backend}")
    if backend == "nccl" and len(GPUS) < 2:
        pytest.skip(f"it takes two GPUs; here is {len(GPUS)}")
    size = len(GPUS) if backend == "nccl" else 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size), "GLOO_SOCKET_IFNAME": "lo"}
    script = str(Path(__file__).with_name("all_reduce.py"))
    running = [
        subprocess.Popen(
            [sys.executable, script, backend],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        said = [one.communicate(timeout=300)[0] for one in running]
    finally:
        for one in running:
            one.kill()
    assert [one.returncode for one in running] == [0] * size, "\n".join(said)
