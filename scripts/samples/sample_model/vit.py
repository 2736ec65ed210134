"""A small vision transformer (Dosovitskiy et al., ICLR 2021) whose patches are made by convolutions.

A few thousand images are not enough for a transformer to learn edges; a stem of strided convolutions in place of one large
one is what lets it (Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 16


class Attention(nn.Module):
    """Softmax attention of several heads. [N, T, C] -> [N, T, C]"""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        attention = (q / math.sqrt(width // self.heads) @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(n, tokens, width))


class Block(nn.Module):
    """Attention and a perceptron, each added to what comes in. [N, T, C] -> [N, T, C]"""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def positions(rows: int, columns: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of the row and of the column as shares of the image, so that any size fits. [1, rows * columns, C]"""
    frequencies = math.pi * torch.pow(2.0, torch.arange(width // 4, dtype=like.dtype, device=like.device) / (width // 4) * 5)
    row = (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5) / rows
    column = (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5) / columns
    of_row = torch.cat([(row[:, None] * frequencies).sin(), (row[:, None] * frequencies).cos()], 1)
    of_column = torch.cat([(column[:, None] * frequencies).sin(), (column[:, None] * frequencies).cos()], 1)
    grid = torch.cat([of_row[:, None].expand(-1, columns, -1), of_column[None].expand(rows, -1, -1)], 2)
    return grid.reshape(1, rows * columns, width)


class VisionTransformer(nn.Module):
    """[N, 3, H, W], H and W multiples of 16 -> logits [N, classes], of the class token."""

    def __init__(self, classes: int, width: int = 64, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.width = width
        channels = [3, width // 4, width // 2, width // 2, width]
        stem: list = []
        for i in range(4):
            stem += [nn.Conv2d(channels[i], channels[i + 1], 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels[i + 1]), nn.ReLU()]
        self.stem = nn.Sequential(*stem, nn.Conv2d(width, width, 1))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def tokens(self, x: Tensor) -> Tensor:
        """What the first block takes: the class token, then the patches row by row. [N, 1 + rows * columns, C]"""
        x = self.stem(x)
        patches = x.flatten(2).transpose(1, 2) + positions(x.shape[2], x.shape[3], self.width, x)
        return torch.cat([self.class_token.expand(x.shape[0], -1, -1), patches], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.tokens(x)))[:, 0])


def grad_cam(model: nn.Module, images: Tensor, target: Tensor):
    """Grad-CAM of the patches where the last block normalises them first: its attention is the last that mixes tokens.

    images [N, 3, H, W], target [N] -> logits [N, C], maps [N, 1, H, W] (bilinear, align_corners=False, not normalised)
    """
    blocks = list(model.blocks.children())
    x = model.tokens(images)
    for block in blocks[:-1]:
        x = block(x)
    x, last = x.detach(), blocks[-1]
    activation = last.norm1(x).detach().requires_grad_()
    x = x + last.attn(activation)
    x = x + last.mlp(last.norm2(x))
    logits = model.head(model.norm(x)[:, 0])
    (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), activation)
    weights = gradient[:, 1:].mean(1, keepdim=True)
    rows, columns = images.shape[2] // STRIDE, images.shape[3] // STRIDE
    maps = F.relu((weights * activation[:, 1:]).sum(2)).view(-1, 1, rows, columns).detach()
    return logits.detach(), F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)
