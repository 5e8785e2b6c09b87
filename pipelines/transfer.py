"""Results on their way from the device into main memory."""

import torch
from torch import Tensor


def to_main(tensor: Tensor) -> Tensor:
    """The tensor in main memory, ready to be read. CUDA copies straight into memory that cannot be paged out, and anywhere else by
    way of such memory; torch keeps it for the next of that size."""
    if tensor.device.type != "cuda":
        return tensor.cpu()
    main = torch.empty_like(tensor, device="cpu", pin_memory=True)
    main.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return main
