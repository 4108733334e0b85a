"""Trains a network on a GPU with PyTorch until its loss is a tenth, and says how fast and how busy the GPU was."""
import json
import os
import subprocess
import time

import torch

device = torch.device("cuda")
torch.manual_seed(7)
torch.backends.cuda.matmul.allow_tf32 = False
size = 4096
model = torch.nn.Sequential(
    torch.nn.Linear(size, size), torch.nn.ReLU(), torch.nn.Linear(size, size)
).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
inputs = torch.randn(2048, size, device=device)
targets = inputs.roll(1, dims=1)


def utilisation():
    """Per cent of the last sample, as the driver counts."""
    asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        return int(subprocess.run(asked, capture_output=True, text=True, timeout=5).stdout.split()[0])
    except (OSError, IndexError, ValueError, subprocess.TimeoutExpired):
        return None


first = None
steps = 0
seen = []
begin = time.monotonic()
while True:
    loss = torch.nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    steps += 1
    if steps % 20 == 0:
        value = loss.item()
        first = first or value
        seen.append(utilisation())
        print(f"step {steps} loss {value:.5f} gpu {seen[-1]} %", flush=True)
        if value < first / 10 or steps >= 1000:
            break
torch.cuda.synchronize()
seconds = time.monotonic() - begin
busy = [one for one in seen if one is not None]
# Forward and backward are three products of this size for each of two layers.
flops = steps * 2 * 3 * 2 * inputs.shape[0] * size * size
with open(os.path.join(os.environ["HN_OUT"], "result.json"), "w") as file:
    json.dump(
        {
            "gpu": torch.cuda.get_device_name(device),
            "learned": value < first / 10,
            "steps": steps,
            "tflops": round(flops / seconds / 1e12, 1),
            "utilisation": max(busy) if busy else None,
            "peakMiB": torch.cuda.max_memory_allocated() // 2**20,
        },
        file,
    )
