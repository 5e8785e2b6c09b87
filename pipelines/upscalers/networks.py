"""The networks behind upscaler files, built from numbers that the shapes of their weights tell."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Convolution(nn.Conv2d):
    def __init__(self, taken: int, given: int) -> None:
        super().__init__(taken, given, 3, padding=1)


class _DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it gave."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for index in range(5):
            convolution = _Convolution(features + index * growth, growth if index < 4 else features)
            self.add_module(f"conv{index + 1}", convolution)

    def forward(self, x: Tensor) -> Tensor:
        first, *middle, last = self.children()
        seen = [x, _leaky(first(x))]
        for convolution in middle:
            seen.append(_leaky(convolution(torch.cat(seen, dim=1))))
        return last(torch.cat(seen, dim=1)) * 0.2 + x


class _ResidualBlock(nn.Module):
    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = _DenseBlock(features, growth)
        self.rdb2 = _DenseBlock(features, growth)
        self.rdb3 = _DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks, then `doublings` of the size.

    (b, channels, h, w) in 0..1 → (b, channels, h·s, w·s) around 0..1, where s = 2^doublings / shrink. `shrink` 2 or 4 folds
    pixels into channels first, as Real-ESRGAN does for small scales; h and w may be any.

    Papers: ESRGAN (Wang et al. 2018), https://arxiv.org/abs/1809.00219; Real-ESRGAN (Wang et al. 2021), https://arxiv.org/abs/2107.10833
    """

    def __init__(self, channels: int, features: int, growth: int, blocks: int, doublings: int, shrink: int) -> None:
        super().__init__()
        self.shrink, self.doublings = shrink, doublings
        self.conv_first = _Convolution(channels * shrink**2, features)
        self.body = nn.Sequential(*(_ResidualBlock(features, growth) for _ in range(blocks)))
        self.conv_body = _Convolution(features, features)
        for index in range(doublings):
            self.add_module(f"conv_up{index + 1}", _Convolution(features, features))
        self.conv_hr = _Convolution(features, features)
        self.conv_last = _Convolution(features, channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.shrink, 0, -height % self.shrink), mode="replicate")
        x = self.conv_first(F.pixel_unshuffle(x, self.shrink))
        x = x + self.conv_body(self.body(x))
        for index in range(self.doublings):
            x = _leaky(self.get_submodule(f"conv_up{index + 1}")(F.interpolate(x, scale_factor=2, mode="nearest")))
        x = self.conv_last(_leaky(self.conv_hr(x)))
        scale = 2**self.doublings // self.shrink
        return x[..., : height * scale, : width * scale]


class SRVGGNetCompact(nn.Module):
    """Convolutions at the picture's own size, whose last one holds the larger picture's difference to a plain enlargement.

    (b, channels, h, w) in 0..1 → (b, channels, h·scale, w·scale) around 0..1. Paper: Real-ESRGAN (Wang et al. 2021),
    https://arxiv.org/abs/2107.10833; the compact network came with the paper's code.
    """

    def __init__(self, channels: int, features: int, layers: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential()
        for layer in range(layers):
            self.body.append(_Convolution(features if layer else channels, features))
            self.body.append(nn.PReLU(features))
        self.body.append(_Convolution(features, channels * scale**2))

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)
